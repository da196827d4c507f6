"""The engine's rounding of activations, keys and values in floats; gradients pass straight through."""

from __future__ import annotations

import torch

from hwsim.arch.numerics import ACT_LIMIT, kv_limit

__all__ = ["rounded_activations", "rounded_cache"]

_TINY = 1e-12


def rounded_activations(x: torch.Tensor) -> torch.Tensor:
    """Return vectors, [..., elements], rounded to 8 bits under the scale of their largest magnitude."""
    step = (x.abs().amax(-1, keepdim=True) / ACT_LIMIT).clamp(min=_TINY)
    return _nearest(x / step) * step


def rounded_cache(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Return rotated keys or values, [..., elements], rounded to codes with a zero point, their range including zero."""
    limit = kv_limit(bits)
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    step = ((high - low) / limit).clamp(min=_TINY)
    zero = _nearest(-low / step)
    return ((_nearest(x / step) + zero).clamp(0, limit) - zero) * step


def _nearest(x: torch.Tensor) -> torch.Tensor:
    return x + (x.round() - x).detach()
