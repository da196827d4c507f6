"""Knows how to share the range of 4-bit keys among their channels: keys are divided, queries multiplied by a factor.

A key's 64 or so channels share one 4-bit step, set by the widest of them. Dividing each channel by its usual magnitude
lets all use the range; multiplying the query's channel by the same leaves every product as it was. The two channels
that rotary embedding turns as a pair take one factor, so that the rotation commutes with it.
"""

from __future__ import annotations

import torch

__all__ = ["factors", "spread"]

_LARGEST_RATIO = 32.0
"""Factors of a head stay within this ratio of their geometric mean, so that 8-bit queries keep their small channels."""


def factors(keys: torch.Tensor) -> torch.Tensor:
    """Return what to divide the key channels by, [kv_heads, head_dim], of geometric mean 1 in each head.

    keys: unrotated, [kv_heads, tokens, head_dim].
    """
    first, second = keys.double().chunk(2, dim=-1)
    magnitude = (first.square() + second.square()).mean(dim=1).sqrt()
    floor = magnitude.amax(dim=1, keepdim=True) * 1e-6
    logarithm = torch.where(floor > 0, torch.maximum(magnitude, floor), 1.0).log()
    share = (logarithm - logarithm.mean(dim=1, keepdim=True)).exp().clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO).float()
    return torch.cat([share, share], dim=1)


def spread(factor: torch.Tensor, group: int) -> torch.Tensor:
    """Return what to multiply the rows of queries, then of keys, by, [(heads + kv_heads) * head_dim].

    factor: as `factors` returns it.
    group: query heads to a key/value head.
    """
    return torch.cat([factor.repeat_interleave(group, dim=0).flatten(), 1 / factor.flatten()])
