"""The 2:4 pattern: which two of every four neighbours in a row score highest, the earlier of equals."""

from __future__ import annotations

import torch

__all__ = ["largest_two"]


def largest_two(scores: torch.Tensor) -> torch.Tensor:
    """Return which two of every four neighbours have the highest scores, bool [rows, inputs]."""
    order = scores.view(len(scores), -1, 4).sort(dim=-1, descending=True, stable=True).indices
    kept = torch.zeros(order.shape, dtype=torch.bool).scatter_(-1, order[..., :2], True)
    return kept.view(scores.shape)
