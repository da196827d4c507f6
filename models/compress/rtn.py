"""Round to nearest: every weight becomes the closest level of its grid, whatever the inputs are."""

import dataclasses

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from models.checkpoint import AffineBlocks
from models.compress.grid import grid, nearest_codes
from models.compress.layer import Linear
from models.compress.method import Quantizer

__all__ = ["Rtn", "quantize"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rtn(Quantizer):
    """Rounds to nearest."""

    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        return quantize(linear.weight, self.format, kept=kept, blocks=linear.blocks)


def quantize(
    weight: torch.Tensor, format: Format, kept: torch.Tensor | None = None, blocks: AffineBlocks | None = None
) -> QuantizedMatrix:
    """Return a matrix, float [rows, inputs], in a weight format, each weight at its nearest level.

    kept, blocks: as for `models.compress.grid.grid`.
    """
    levels = grid(format, weight, kept, blocks)
    return levels.matrix(nearest_codes(weight.float(), levels))
