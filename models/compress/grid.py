"""The integer grid of every weight format: row scales, group scales and offsets, chosen before rounding, and the rounding."""

import dataclasses
from typing import Self

import numpy as np
import torch

from hwsim.arch.complete import require_rows
from hwsim.arch.formats import WEIGHT_FORMATS, QuantizedMatrix
from hwsim.arch.formats.base import OFFSET_STEP
from hwsim.arch.isa import Format
from hwsim.arch.numerics import ACT_LIMIT, normalize
from hwsim.errors import SpecError
from models.checkpoint import AffineBlocks
from models.distill.weight import two_of_four

__all__ = ["PRUNABLE", "Columns", "Grid", "check_inputs", "grid", "nearest_codes", "objective"]

PRUNABLE = ("w2", "w2s", "w8")
"""Formats of which zero is a value whatever the group."""

require_rows((Format.W2, Format.W2S, Format.W4, Format.W8), WEIGHT_FORMATS, what="a grid for weights", module=__name__)

_SCALE_LIMIT = 255
_OFFSET_LIMIT = 127
_ACCUMULATOR_LIMIT = (1 << 31) - 1
# Shares of a group's largest magnitude that are tried as the distance of 2-bit levels.
_W2_SHARES = tuple(0.2 + 0.05 * index for index in range(17))
_W2_ZEROS = (1, 2)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The values a matrix may take: code * step + base of its group, times the row scale.

    format: the weight format.
    low, high: smallest and largest code.
    scale: int64 [rows, groups], 0 .. 255: the step in integers.
    offset: int64 [rows, groups] as the format stores it.
    kept: bool [rows, inputs]: weights that are not pruned; None where all are kept.
    mantissa, exponent: int64 [rows]: the row scale.
    """

    format: Format
    low: int
    high: int
    scale: torch.Tensor
    offset: torch.Tensor
    kept: torch.Tensor | None
    mantissa: torch.Tensor
    exponent: torch.Tensor

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return WEIGHT_FORMATS[self.format].group

    @property
    def row_scale(self) -> torch.Tensor:
        """Real row scales, float64 [rows]."""
        return self.mantissa.double() * torch.from_numpy(np.exp2(self.exponent.double().numpy()))

    @property
    def step(self) -> torch.Tensor:
        """Real distance of two codes, float64 [rows, groups]."""
        return self.scale * self.row_scale[:, None]

    @property
    def base(self) -> torch.Tensor:
        """Real value of code zero, float64 [rows, groups]."""
        if self.format == Format.W4:
            integer = OFFSET_STEP * self.offset
        elif self.format == Format.W8:
            integer = torch.zeros_like(self.offset)
        else:
            integer = -self.scale * self.offset
        return integer * self.row_scale[:, None]

    def matrix(self, codes: torch.Tensor) -> QuantizedMatrix:
        """Return the matrix of these codes, [rows, inputs]."""
        return QuantizedMatrix(
            format=self.format,
            codes=codes.to(torch.int16).numpy().astype(np.uint8),
            kept=self.kept.numpy() if self.kept is not None and self.format == Format.W2S else None,
            scale=self.scale.numpy().astype(np.uint8),
            offset=self.offset.numpy().astype(np.int8),
            mantissa=self.mantissa.numpy(),
            exponent=self.exponent.numpy(),
        )


def grid(format: Format, weight: torch.Tensor, kept: torch.Tensor | None = None, blocks: AffineBlocks | None = None) -> Grid:
    """Return the grid of `format` for a matrix, float [rows, inputs].

    It is coarse enough that codes near the weights keep a row within its 32-bit accumulator.

    kept: weights that are not pruned; where this is None, W2S keeps the two largest of four.
    blocks: the 4-bit blocks the matrix is stored in, whose levels W4 takes over.

    SpecError when the inputs do not fall into whole groups, or the format is not one of weights, or has no zero to prune to.
    """
    check_inputs(format, weight.shape[1])
    exact = weight.double() if kept is None else torch.where(kept, weight.double(), 0.0)
    if format == Format.W4:
        if kept is not None:
            raise SpecError(f"Pruned matrices must be in {', '.join(PRUNABLE)}, which have a zero, not w4")
        if blocks is not None:
            return _w4_levels(blocks.scales.double(), blocks.minima.double())
        groups = _grouped(exact, WEIGHT_FORMATS[format].group)
        # 16 levels from the smallest to the largest weight of each group, which is where Q4_1 has them.
        low, high = groups.amin(-1), groups.amax(-1)
        return _w4_levels((high - low) / 15, low)
    if format == Format.W8:
        return _w8(exact, kept)
    if format == Format.W2S and kept is None:
        kept = two_of_four(weight.double().abs())
    return _w2(exact, format, kept)


def check_inputs(format: Format, inputs: int, name: str = "a matrix") -> None:
    """Raise SpecError unless rows of so many inputs fall into whole groups of a weight format."""
    if format not in WEIGHT_FORMATS:
        raise SpecError(f"Weight format must be one of {', '.join(f.name.lower() for f in WEIGHT_FORMATS)}, not {format.name}")
    group = WEIGHT_FORMATS[format].group
    if inputs % group:
        raise SpecError(f"Inputs of {name} in {format.name.lower()} must be a multiple of {group}, not {inputs}")


def _grouped(weight: torch.Tensor, group: int) -> torch.Tensor:
    return weight.view(len(weight), -1, group)


def _row_scale(needed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the smallest normalized scales that are at least `needed`, [rows]: mantissa, exponent, real value."""
    fraction, exponent = np.frexp(needed.numpy())
    mantissa = np.ceil(fraction * 65536).astype(np.int64)
    mantissa, carried = normalize(mantissa)
    shift = np.where(mantissa == 0, 0, exponent + carried - 16)
    mantissa = np.where(shift < -128, 0, mantissa)
    shift = np.maximum(shift, -128).astype(np.int64)
    return (torch.from_numpy(mantissa), torch.from_numpy(shift), torch.from_numpy(mantissa * np.exp2(shift.astype(float))))


def _divided(values: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    return torch.where(row[:, None] > 0, values / torch.where(row > 0, row, 1.0)[:, None], 0.0)


def _w4_levels(step: torch.Tensor, low: torch.Tensor) -> Grid:
    """Lay 16 levels of a distance from the lowest of each group up, [rows, groups] each."""
    group = WEIGHT_FORMATS[Format.W4].group
    needed = torch.maximum(step.amax(-1) / _SCALE_LIMIT, low.abs().amax(-1) / (_OFFSET_LIMIT * OFFSET_STEP))
    for _ in range(2):
        mantissa, exponent, row = _row_scale(needed)
        offset = torch.floor(_divided(low, row) / OFFSET_STEP + 0.5).clamp(-_OFFSET_LIMIT - 1, _OFFSET_LIMIT)
        scale = torch.floor(_divided(step, row) + 0.5).clamp(0, _SCALE_LIMIT)
        reach = torch.maximum((OFFSET_STEP * offset).abs(), (15 * scale + OFFSET_STEP * offset).abs())
        worst = reach.sum(-1) * group * ACT_LIMIT
        if bool((worst <= _ACCUMULATOR_LIMIT).all()):
            break
        needed = needed * (worst * 1.02 / _ACCUMULATOR_LIMIT).clamp(min=1.0)
    return Grid(
        format=Format.W4, low=0, high=15, scale=scale.long(), offset=offset.long(), kept=None, mantissa=mantissa, exponent=exponent
    )


def _w8(weight: torch.Tensor, kept: torch.Tensor | None) -> Grid:
    """Lay 255 levels over each group's largest magnitude; rows that could wrap get a coarser row scale."""
    groups = _grouped(weight, WEIGHT_FORMATS[Format.W8].group)
    top = groups.abs().amax(-1)
    # What one input may reach at most, so that the accumulator holds for any codes on this grid.
    reach = (top * groups.shape[-1]).sum(-1) * 1.05 * ACT_LIMIT / _ACCUMULATOR_LIMIT
    needed = torch.maximum(top.amax(-1) / 127 / _SCALE_LIMIT, reach)
    mantissa, exponent, row = _row_scale(needed)
    scale = torch.ceil(_divided(top / 127, row) - 1e-9).clamp(0, _SCALE_LIMIT)
    offset = torch.zeros_like(scale).long()
    return Grid(
        format=Format.W8, low=-127, high=127, scale=scale.long(), offset=offset, kept=kept, mantissa=mantissa, exponent=exponent
    )


def _w2(weight: torch.Tensor, format: Format, kept: torch.Tensor | None) -> Grid:
    """Search for each group's distance of levels and zero by the squared error of rounding."""
    groups = _grouped(weight, WEIGHT_FORMATS[format].group)
    present = torch.ones_like(groups, dtype=torch.bool) if kept is None else _grouped(kept, groups.shape[-1])
    groups = torch.where(present, groups, 0.0).float()
    top = groups.abs().amax(-1)
    best = torch.full_like(top, torch.inf)
    step, offset = torch.zeros_like(top), torch.ones_like(top)
    for zero in _W2_ZEROS:
        for share in _W2_SHARES:
            tried = top * share
            distance = torch.where(tried > 0, tried, 1.0)[..., None]
            rounded = torch.round(groups / distance).clamp(-zero, 3 - zero) * distance
            error = ((rounded - groups).square() * present).sum(-1)
            better = error < best
            best, step = torch.where(better, error, best), torch.where(better, tried, step)
            offset = torch.where(better, torch.full_like(offset, zero), offset)
    mantissa, exponent, row = _row_scale(step.double().amax(-1) / _SCALE_LIMIT)
    scale = torch.floor(_divided(step.double(), row) + 0.5).clamp(0, _SCALE_LIMIT)
    return Grid(
        format=format, low=0, high=3, scale=scale.long(), offset=offset.long(), kept=kept, mantissa=mantissa, exponent=exponent
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A grid seen by input: what each weight may become, float32 [rows, inputs] each.

    step, base: distance of two codes, and value of code zero.
    low, high: smallest and largest code.
    kept: weights that are not pruned, or None.
    blank: code of those that are.
    """

    step: torch.Tensor
    base: torch.Tensor
    low: int
    high: int
    kept: torch.Tensor | None
    blank: torch.Tensor

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Return the columns of a grid."""
        step, base = (part.float().repeat_interleave(grid.group, dim=1) for part in (grid.step, grid.base))
        # W2S stores no code where nothing is kept; the other formats that can be pruned have a code for zero.
        zero = torch.zeros_like(base) if grid.format == Format.W2S else -base / torch.where(step > 0, step, 1.0)
        return cls(step=step, base=base, low=grid.low, high=grid.high, kept=grid.kept, blank=zero.round())

    def ordered(self, order: torch.Tensor) -> "Columns":
        """Return the columns in another order, stored input by input, [inputs, rows]."""
        step, base, blank = (part.T[order].contiguous() for part in (self.step, self.base, self.blank))
        kept = None if self.kept is None else self.kept.T[order].contiguous()
        return dataclasses.replace(self, step=step, base=base, kept=kept, blank=blank)

    def codes(self, weight: torch.Tensor, index: int | slice = slice(None)) -> torch.Tensor:
        """Return the codes nearest to `weight`, whole or at one index of the first axis, as float32."""
        step = self.step[index]
        codes = ((weight - self.base[index]) / torch.where(step > 0, step, 1.0)).round_().clamp_(self.low, self.high)
        if self.kept is not None:
            codes = torch.where(self.kept[index], codes, self.blank[index])
        return codes

    def values(self, codes: torch.Tensor, index: int | slice = slice(None)) -> torch.Tensor:
        """Return the weights that codes stand for, whole or at one index of the first axis."""
        values = codes * self.step[index] + self.base[index]
        return values if self.kept is None else torch.where(self.kept[index], values, 0.0)


def nearest_codes(weight: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the code of each weight's nearest level, [rows, inputs]."""
    return Columns.of(grid).codes(weight)


def objective(weight: torch.Tensor, matrix: QuantizedMatrix, hessian: torch.Tensor) -> float:
    """Return the squared error of the outputs, summed over rows and the tokens behind `hessian`, [inputs, inputs]."""
    error = torch.from_numpy(matrix.dequantize()) - weight.double()
    return float(((error @ hessian.double()) * error).sum())
