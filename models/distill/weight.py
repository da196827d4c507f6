"""A matrix in training: latent weights, a scale and zero per 64 inputs, a 2:4 mask, and the weights the engine would read."""

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from models.distill.rounding import straight

__all__ = ["GROUP", "Fit", "Stored", "TrainedWeight", "fit", "row_scales", "two_of_four"]

GROUP = 64
"""Inputs that share a scale and a zero."""

_SCALE_LIMIT = 255
_CODE_LIMIT = 3
_ZEROS = (1, 2)
# Shares of a group's largest magnitude that are tried as the distance of two levels.
_SHARES = tuple(0.15 + 0.05 * index for index in range(18))
_LEAST_TOP = 1e-8
# A quarter of the distance of two 16-bit mantissas, many times the error of a logarithm in float32.
_LESS = 2.0**-18
# Elements that the search works on at once; this bounds memory.
_SEARCH_ELEMENTS = 1 << 22


class Fit(NamedTuple):
    """Initial grid of a matrix: step and zero of each group, float [rows, groups], and what is kept, bool [rows, inputs]."""

    step: torch.Tensor
    zero: torch.Tensor
    kept: torch.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A matrix as the format stores it.

    codes: uint8 [rows, inputs], 0 .. 3; 0 where not kept.
    kept: bool [rows, inputs], or None for a dense matrix.
    scale, zero: uint8 [rows, groups].
    row: float32 [rows], row scales, 16-bit mantissas.
    """

    codes: np.ndarray
    kept: np.ndarray | None
    scale: np.ndarray
    zero: np.ndarray
    row: np.ndarray

    def dequantized(self) -> np.ndarray:
        """Return the weights, float64 [rows, inputs]."""
        scale, zero = (np.repeat(part.astype(np.float64), GROUP, axis=1) for part in (self.scale, self.zero))
        values = (self.codes - zero) * scale * self.row.astype(np.float64)[:, None]
        return values if self.kept is None else np.where(self.kept, values, 0.0)


def two_of_four(gain: torch.Tensor) -> torch.Tensor:
    """Return which two of every four inputs gain most, bool [rows, inputs]; the earlier of equals."""
    order = gain.unflatten(-1, (-1, 4)).sort(dim=-1, descending=True, stable=True).indices
    return torch.zeros(order.shape, dtype=torch.bool, device=gain.device).scatter_(-1, order[..., :2], True).flatten(-2)


def _two_largest(gain: torch.Tensor) -> torch.Tensor:
    """Return the sum of the two largest of every four, [..., inputs / 4]."""
    a, b, c, d = gain.unflatten(-1, (-1, 4)).unbind(-1)
    high, low, other_high, other_low = torch.maximum(a, b), torch.minimum(a, b), torch.maximum(c, d), torch.minimum(c, d)
    second = torch.maximum(torch.minimum(high, other_high), torch.where(high >= other_high, low, other_low))
    return torch.maximum(high, other_high) + second


def _gain(groups: torch.Tensor, energy: torch.Tensor, step: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """Return by how much each rounded weight reduces the output's squared error, compared with a zero in its place."""
    rounded = torch.minimum(torch.maximum(torch.round(groups / step), -zero), _CODE_LIMIT - zero) * step
    return energy * (groups.square() - (rounded - groups).square())


def fit(weight: torch.Tensor, energy: torch.Tensor, *, is_sparse: bool) -> Fit:
    """Return the steps, zeros and kept weights with the least error of the outputs, inputs being independent.

    weight: float32 [rows, inputs].
    energy: mean square of each input, [inputs].
    """
    rows = max(1, _SEARCH_ELEMENTS // weight.shape[1])
    parts = [_fit(part, energy, is_sparse) for part in weight.split(rows)]
    return Fit(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _fit(weight: torch.Tensor, energy: torch.Tensor, is_sparse: bool) -> Fit:
    groups = weight.unflatten(1, (-1, GROUP))
    shared = energy.view(1, -1, GROUP)
    top = groups.abs().amax(-1, keepdim=True).clamp(min=_LEAST_TOP)
    best = torch.full_like(top, -torch.inf)
    step, zero = torch.zeros_like(top), torch.zeros_like(top)
    for shift in _ZEROS:
        for share in _SHARES:
            tried, tried_zero = top * share, torch.full_like(top, shift)
            gain = _gain(groups, shared, tried, tried_zero)
            total = (_two_largest(gain) if is_sparse else gain).sum(-1, keepdim=True)
            better = total > best
            best = torch.where(better, total, best)
            step, zero = torch.where(better, tried, step), torch.where(better, tried_zero, zero)
    kept = torch.ones_like(weight, dtype=torch.bool)
    if is_sparse:
        kept = two_of_four(_gain(groups, shared, step, zero).flatten(1))
    return Fit(step[..., 0], zero[..., 0], kept)


def row_scales(scale: torch.Tensor) -> torch.Tensor:
    """Return the least row scales with 16-bit mantissas under which group scales, [rows, groups], are at most 255; [rows, 1]."""
    needed = scale.amax(-1, keepdim=True) / _SCALE_LIMIT
    # A float32 has a 24-bit mantissa; adding before cutting its low 8 bits rounds up, into the exponent where it must.
    return ((needed.view(torch.int32) + 0xFF) & ~0xFF).view(torch.float32)


class TrainedWeight(nn.Module):
    """A matrix [rows, inputs] whose effective weights are always ones that the format can store."""

    latent: nn.Parameter
    log_scale: nn.Parameter
    zero: torch.Tensor
    kept: torch.Tensor
    energy: torch.Tensor

    def __init__(self, rows: int, inputs: int, *, is_sparse: bool) -> None:
        super().__init__()
        self.is_sparse = is_sparse
        groups = inputs // GROUP
        self.latent = nn.Parameter(torch.zeros(rows, inputs))
        self.log_scale = nn.Parameter(torch.zeros(rows, groups))
        self.register_buffer("zero", torch.ones(rows, groups))
        self.register_buffer("kept", torch.ones((rows, inputs) if is_sparse else (1, 1), dtype=torch.bool))
        self.register_buffer("energy", torch.ones(inputs))

    @torch.no_grad()
    def start(self, weight: torch.Tensor, energy: torch.Tensor) -> None:
        """Begin from a float matrix and the mean squares of its inputs."""
        found = fit(weight, energy, is_sparse=self.is_sparse)
        self.latent.copy_(weight)
        self.log_scale.copy_(found.step.log())
        self.zero.copy_(found.zero)
        self.energy.copy_(energy)
        if self.is_sparse:
            self.kept.copy_(found.kept)

    @torch.no_grad()
    def take(self, stored: Stored, energy: torch.Tensor) -> None:
        """Begin as a stored matrix, exactly; pruned weights are zero and what they were in training is not known.

        energy: mean squares of the inputs.
        """
        self.latent.copy_(torch.from_numpy(stored.dequantized()))
        scale = stored.scale.astype(np.float64) * stored.row.astype(np.float64)[:, None]
        # Slightly less: where exp(log(x)) is above x, the row scale, which is rounded up to 16 bits, would come out one higher.
        self.log_scale.copy_(torch.from_numpy(np.log(scale) - _LESS))
        self.zero.copy_(torch.from_numpy(stored.zero))
        self.energy.copy_(energy)
        if stored.kept is not None:
            self.kept.copy_(torch.from_numpy(stored.kept))

    def integer_scales(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return group scales as whole numbers 1 .. 255, [rows, groups], and row scales [rows, 1]; no gradient."""
        scale = self.log_scale.detach().exp()
        row = row_scales(scale)
        return torch.round(scale / row).clamp(1, _SCALE_LIMIT), row

    def effective(self, leak: torch.Tensor) -> torch.Tensor:
        """Return the weights that the format stores, float32 [rows, inputs].

        leak: 1 lets weights that are not kept see the gradient they would have if kept, 0 does not.
        """
        integer, row = self.integer_scales()
        scale = straight(self.log_scale.exp(), integer * row)[..., None]
        zero = self.zero[..., None]
        units = self.latent.unflatten(1, (-1, GROUP)) / scale
        limited = torch.minimum(torch.maximum(units, -zero), _CODE_LIMIT - zero)
        weights = (straight(limited, torch.round(limited)) * scale).flatten(1)
        if not self.is_sparse:
            return weights
        passed = (self.latent - self.latent.detach()) * leak
        return torch.where(self.kept, weights, passed)

    @torch.no_grad()
    def choose_mask(self) -> int:
        """Keep the two of every four that now gain most, and return how many weights changed sides."""
        integer, row = self.integer_scales()
        groups = self.latent.unflatten(1, (-1, GROUP))
        step, zero = (integer * row)[..., None], self.zero[..., None]
        kept = two_of_four(_gain(groups, self.energy.view(1, -1, GROUP), step, zero).flatten(1))
        changed = int((kept != self.kept).sum())
        self.kept.copy_(kept)
        return changed

    @torch.no_grad()
    def stored(self) -> Stored:
        """Return the matrix as the format stores it."""
        integer, row = self.integer_scales()
        units = self.latent.unflatten(1, (-1, GROUP)) / (integer * row)[..., None]
        zero = self.zero[..., None]
        codes = torch.round(torch.minimum(torch.maximum(units, -zero), _CODE_LIMIT - zero)) + zero
        codes = codes.flatten(1).to(torch.uint8)
        if self.is_sparse:
            codes = torch.where(self.kept, codes, torch.zeros_like(codes))
        return Stored(
            codes=codes.cpu().numpy(),
            kept=self.kept.cpu().numpy() if self.is_sparse else None,
            scale=integer.to(torch.uint8).cpu().numpy(),
            zero=self.zero.to(torch.uint8).cpu().numpy(),
            row=row[:, 0].cpu().numpy(),
        )
