"""Knows how to share the range of 4-bit keys among their channels: keys are divided, queries multiplied by a factor.

A key's 64 or so channels share one 4-bit step, set by the widest of them. Dividing wide channels narrows the step;
multiplying the query's channels by the same leaves every product as it was, but also magnifies what rounding did to
them, so only part of the way pays. The two channels that rotary embedding turns as a pair take one factor, so that the
rotation commutes with it.
"""

from __future__ import annotations

import torch

__all__ = ["factors", "spread"]

# How much of a channel's excess width is taken away: all would be 1. On SmolLM2 the squared error of attention outputs
# is 5.1 % at 0, 4.4 % at 0.4 and 6.7 % at 1; factors found by gradient descent on it reach 4.2 %.
_SHARE = 0.4
# The width of a channel is what all but so many of its magnitudes stay below.
_QUANTILE = 0.99


def factors(keys: torch.Tensor) -> torch.Tensor:
    """Return what to divide the key channels by, [kv_heads, head_dim], of geometric mean 1 in each head.

    keys: unrotated, [kv_heads, tokens, head_dim].
    """
    first, second = keys.double().chunk(2, dim=-1)
    magnitudes = (first.square() + second.square()).sort(dim=1).values
    width = magnitudes[:, int(_QUANTILE * (magnitudes.shape[1] - 1))].sqrt()
    floor = width.amax(dim=1, keepdim=True) * 1e-3
    logarithm = torch.where(floor > 0, torch.maximum(width, floor), 1.0).log()
    factor = ((logarithm - logarithm.mean(dim=1, keepdim=True)) * _SHARE).exp().float()
    return torch.cat([factor, factor], dim=1)


def spread(factor: torch.Tensor, group: int) -> torch.Tensor:
    """Return what to multiply the rows of queries, then of keys, by, [(heads + kv_heads) * head_dim].

    factor: as `factors` returns it.
    group: query heads to a key/value head.
    """
    return torch.cat([factor.repeat_interleave(group, dim=0).flatten(), 1 / factor.flatten()])
