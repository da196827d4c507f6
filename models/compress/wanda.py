"""Wanda: of every four weights the two with the largest product of magnitude and input norm are kept.

Ref: Sun et al., A Simple and Effective Pruning Approach for Large Language Models, arXiv 2306.11695.
"""

import dataclasses
from typing import ClassVar

import torch

from models.compress.method import Pruning
from models.distill.weight import two_of_four

__all__ = ["Wanda"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanda(Pruning):
    """Keeps the weights that move the outputs most, one by one."""

    needs_inputs: ClassVar[bool] = True

    def pruned(self, weight: torch.Tensor, hessian: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        assert hessian is not None
        kept = two_of_four(weight.abs() * hessian.diagonal().clamp(min=0).sqrt())
        return torch.where(kept, weight, 0.0), kept
