"""SparseGPT: in each group, the two of four weights are pruned for which the other weights compensate best.

Ref: Frantar and Alistarh, SparseGPT, arXiv 2301.00774. Here the pair that goes is the best of the six by the error that
is left once all later inputs and the two that stay have made up for both, which is exact where the paper adds up the
errors of single weights.
"""

import dataclasses
import itertools
from typing import ClassVar

import torch

from models.compress.gptq import inverse_factor
from models.compress.method import Pruning

__all__ = ["SparseGpt"]

_PAIRS = tuple(itertools.combinations(range(4), 2))
_BLOCK = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseGpt(Pruning):
    """Prunes with the rest of the weights moved to make up for it."""

    needs_inputs: ClassVar[bool] = True

    def pruned(self, weight: torch.Tensor, hessian: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        assert hessian is not None
        inputs = weight.shape[1]
        # Groups of strong inputs first: all others can make up for them.
        energy = hessian.diagonal().view(-1, 4).sum(1)
        order = (energy.argsort(descending=True, stable=True)[:, None] * 4 + torch.arange(4)).flatten()
        factor = inverse_factor(hessian[order][:, order])
        # Input by input, [inputs, rows], as in GPTQ.
        remaining = weight.float().T[order].contiguous()
        kept = torch.ones(remaining.shape, dtype=torch.bool)
        for start in range(0, inputs, _BLOCK):
            stop = min(start + _BLOCK, inputs)
            errors = torch.empty((stop - start, remaining.shape[1]))
            for index in range(start, stop, 4):
                group = slice(index, index + 4)
                own = factor[group, group]
                error, is_kept = _best(remaining[group], own)
                kept[group] = is_kept
                remaining[index:stop].sub_(factor[group, index:stop].T @ error)
                errors[index - start : index - start + 4] = error
            remaining[stop:].addmm_(factor[start:stop, stop:].T, errors, alpha=-1)
        restored, mask = torch.empty_like(remaining), torch.empty_like(kept)
        restored[order], mask[order] = remaining, kept
        mask = mask.T.contiguous()
        return torch.where(mask, restored.T, 0.0), mask


def _best(weights: torch.Tensor, factor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the error to pass on through the factor's rows, [4, rows], and what is kept, bool [4, rows].

    weights: [4, rows]. factor: upper [4, 4], whose square is the inverse hessian's block.
    """
    inverse = factor.double().T @ factor.double()
    costs, multipliers = [], []
    for pair in _PAIRS:
        chosen = list(pair)
        solved = torch.linalg.solve(inverse[chosen][:, chosen], weights[chosen].double())
        costs.append((weights[chosen] * solved).sum(0))
        multipliers.append(factor[:, chosen].double() @ solved)
    best = torch.stack(costs).argmin(0)
    error = torch.stack(multipliers).gather(0, best[None, None].expand(1, 4, -1))[0]
    pruned = torch.zeros((len(_PAIRS), 4), dtype=torch.bool)
    for number, pair in enumerate(_PAIRS):
        pruned[number, list(pair)] = True
    return error.float(), ~pruned[best].T
