"""Magnitude pruning: of every four weights the two largest are kept, the earlier of equals."""

import dataclasses

import torch

from models.compress.method import Pruning
from models.distill.weight import two_of_four

__all__ = ["Magnitude"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Magnitude(Pruning):
    """Keeps the largest weights, whatever the inputs are."""

    def pruned(self, weight: torch.Tensor, hessian: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        kept = two_of_four(weight.abs())
        return torch.where(kept, weight, 0.0), kept
