"""Knows how to compute the engine's integers in float64 without losing a bit, many at once."""

from __future__ import annotations

import torch

from hwsim.arch.numerics import FRACTION_BITS
from models.integer import ops
from models.integer.ops import Scale

__all__ = ["scaled", "unpacked"]

# A product of two 16-bit mantissas has 32 bits; these are the bits of a float64 below the 16 that `combine` keeps.
_DROPPED_BITS = (1 << (53 - 16)) - 1
_EXPONENT_BIAS = 1023
_MANTISSA_BITS = 52


def unpacked(scale: Scale, fraction_bits: int = 0) -> torch.Tensor:
    """Return mantissa * 2**(exponent + fraction_bits) in float64, exactly, of int64 tensors."""
    mantissa, exponent = scale
    power = ((exponent + (fraction_bits + _EXPONENT_BIAS)) << _MANTISSA_BITS).view(torch.float64)
    return mantissa.to(torch.float64) * power


def scaled(accumulated: torch.Tensor, row_scale: Scale, activation_scale: Scale) -> torch.Tensor:
    """Return what `ops.dot` returns for integers below 2**31 held in float64, as float64; overwrites `accumulated`.

    Exact: an accumulator times a 16-bit mantissa has 47 bits, a shift is a power of two, and rounding half up needs
    one bit more. A product scale above 2**-16, which numerics.apply_scale clamps, takes the integer path.
    """
    if _highest_exponent(row_scale) + _highest_exponent(activation_scale) + 16 + FRACTION_BITS > 0:
        return ops.dot(accumulated.to(torch.int64), row_scale, activation_scale).to(torch.float64)
    factor = unpacked(row_scale, FRACTION_BITS) * unpacked(activation_scale)
    factor.view(torch.int64).bitwise_and_(~_DROPPED_BITS)
    return accumulated.mul_(factor).add_(0.5).floor_().clamp_(-(1 << 31), (1 << 31) - 1)


def _highest_exponent(scale: Scale) -> int:
    return int(scale[1].max())
