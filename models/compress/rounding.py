"""Rounding to a grid: each weight to its nearest level, or one input after another with the error passed on (GPTQ)."""

from __future__ import annotations

import dataclasses

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from models.compress.grid import Grid

__all__ = ["Columns", "nearest_codes", "objective"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A grid seen by input: what each weight may become, float32 [rows, inputs] each.

    Attributes:
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
    def of(cls, grid: Grid) -> Columns:
        """Return the columns of a grid."""
        step, base = (part.float().repeat_interleave(grid.group, dim=1) for part in (grid.step, grid.base))
        # W2S stores no code where nothing is kept; the other formats that can be pruned have a code for zero.
        zero = torch.zeros_like(base) if grid.format == Format.W2S else -base / torch.where(step > 0, step, 1.0)
        return cls(step=step, base=base, low=grid.low, high=grid.high, kept=grid.kept, blank=zero.round())

    def ordered(self, order: torch.Tensor) -> Columns:
        """Return the columns in another order, stored input by input, [inputs, rows]."""
        kept = None if self.kept is None else self.kept.T[order].contiguous()
        return Columns(
            step=self.step.T[order].contiguous(),
            base=self.base.T[order].contiguous(),
            low=self.low,
            high=self.high,
            kept=kept,
            blank=self.blank.T[order].contiguous(),
        )

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
