"""GPTQ: weights are rounded input by input, and inputs still to come compensate for the error of each.

Ref: Frantar et al., GPTQ, arXiv 2210.17323, with grids fixed beforehand and inputs taken by falling energy.
"""

import dataclasses
from typing import ClassVar

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from models.checkpoint import AffineBlocks
from models.compress.grid import Columns, grid, nearest_codes, objective
from models.compress.layer import Linear
from models.compress.method import Quantizer

__all__ = ["DAMPING", "Gptq", "inverse_factor", "quantize"]

_BLOCK = 64

DAMPING = 0.01
"""Share of the mean input energy added to every input's, which keeps the inverse well conditioned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gptq(Quantizer):
    """Keeps the error of the outputs on the calibration inputs small."""

    needs_inputs: ClassVar[bool] = True

    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        return quantize(linear.weight, self.format, hessian, kept, linear.blocks)


def quantize(
    weight: torch.Tensor,
    format: Format,
    hessian: torch.Tensor | None,
    kept: torch.Tensor | None = None,
    blocks: AffineBlocks | None = None,
) -> QuantizedMatrix:
    """Return a matrix in a weight format with the output error on the calibration inputs kept small.

    weight: float [rows, inputs].
    hessian: sum over tokens of input times input, [inputs, inputs]; None rounds to nearest.
    kept, blocks: as for `models.compress.grid.grid`.

    Where passing errors on does not help, by `objective`, the nearest levels are returned.
    """
    levels = grid(format, weight, kept, blocks)
    nearest = levels.matrix(nearest_codes(weight.float(), levels))
    if hessian is None:
        return nearest
    passed_on = levels.matrix(_codes(weight.float(), Columns.of(levels), hessian))
    is_better = objective(weight, passed_on, hessian) <= objective(weight, nearest, hessian)
    return passed_on if is_better else nearest


def _codes(weight: torch.Tensor, columns: Columns, hessian: torch.Tensor) -> torch.Tensor:
    energy = hessian.diagonal()
    order = energy.argsort(descending=True, stable=True)
    factor = inverse_factor(hessian[order][:, order])
    # Input by input, [inputs, rows]: each turn reads and writes contiguous memory.
    remaining = weight.T[order].contiguous()
    ordered = columns.ordered(order)
    codes = torch.empty_like(remaining)
    inputs = len(order)
    for start in range(0, inputs, _BLOCK):
        stop = min(start + _BLOCK, inputs)
        errors = torch.empty((stop - start, remaining.shape[1]))
        for index in range(start, stop):
            codes[index] = ordered.codes(remaining[index], index)
            error = (remaining[index] - ordered.values(codes[index], index)) / factor[index, index]
            remaining[index + 1 : stop].addr_(factor[index, index + 1 : stop], error, alpha=-1)
            errors[index - start] = error
        remaining[stop:].addmm_(factor[start:stop, stop:].T, errors, alpha=-1)
    restored = torch.empty_like(codes)
    restored[order] = codes
    return restored.T.contiguous()


def inverse_factor(hessian: torch.Tensor) -> torch.Tensor:
    """Return the upper Cholesky factor U of the damped inverse, float32 [inputs, inputs].

    For every n, U[n:, n:].T @ U[n:, n:] is the inverse of the damped hessian of inputs n and later.
    """
    damped = hessian.double().clone()
    mean = float(damped.diagonal().mean())
    share = DAMPING
    while True:
        damped.diagonal().add_(share * mean if mean > 0 else 1.0)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            break
        share *= 10
    return torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True).float()
