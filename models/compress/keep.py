"""Takes stored 4-bit weights over as they are: codes exactly, scales and minima to the grid's precision."""

import dataclasses

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.errors import SpecError
from models.compress.grid import grid
from models.compress.layer import Linear
from models.compress.method import Quantizer
from models.recipes.options import KeepOptions

__all__ = ["Keep"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keep(KeepOptions, Quantizer):
    """Keeps the codes of GGUF Q4_1 weights; methods that multiply whole rows or whole blocks leave them alone."""

    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        if linear.blocks is None:
            raise SpecError("Weights that are kept must be stored in GGUF Q4_1 blocks and not be rotated: use rtn for others")
        return grid(self.format, linear.weight, kept, linear.blocks).matrix(linear.blocks.codes)
