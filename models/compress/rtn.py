"""Knows round to nearest: every weight becomes the closest level of its grid, whatever the inputs are."""

from __future__ import annotations

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from models.compress.grid import grid
from models.compress.rounding import nearest_codes

__all__ = ["quantize"]


def quantize(weight: torch.Tensor, format: Format, hessian: torch.Tensor | None = None) -> QuantizedMatrix:
    """Return a matrix, float [rows, inputs], in a weight format; the inputs' statistics are not used."""
    levels = grid(format, weight)
    return levels.matrix(nearest_codes(weight.float(), levels))
