"""The float weights of one layer while methods rewrite them, and which rewritings keep stored 4-bit codes."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import torch
from torch.nn import functional

from hwsim.arch.formats import QuantizedMatrix
from models.checkpoint import AffineBlocks, Checkpoint
from models.checkpoint.base import BLOCK
from models.checkpoint.layout import block
from models.config import ModelConfig
from models.matrices import HEAD_NORMS, LINEARS, layer_norms
from models.reference.llama import rms_norm

__all__ = ["Layer", "Linear"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A float matrix with its bias, and its stored or trained integers as long as they still give the same values.

    weight: float32 [rows, inputs].
    bias: float32 [rows] or None.
    blocks: codes, scales and minima of the 4-bit blocks it was stored in, or None.
    trained: the integers it was trained as, or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    blocks: AffineBlocks | None = None
    trained: QuantizedMatrix | None = None

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the results for inputs [tokens, inputs]."""
        return functional.linear(inputs, self.weight, self.bias)

    def with_rows_times(self, factor: torch.Tensor) -> "Linear":
        """Return the matrix and bias with each row multiplied, which leaves stored codes as they are."""
        blocks = self.blocks
        if blocks is not None:
            scales, minima = blocks.scales * factor[:, None], blocks.minima * factor[:, None]
            blocks = dataclasses.replace(blocks, scales=scales, minima=minima)
        bias = None if self.bias is None else self.bias * factor
        return Linear(weight=self.weight * factor[:, None], bias=bias, blocks=blocks)

    def with_columns_times(self, factor: torch.Tensor) -> "Linear":
        """Return the matrix with the weights of each input multiplied; codes survive where whole blocks share a factor."""
        blocks, shared = self.blocks, factor.view(-1, BLOCK) if self.blocks is not None else factor[:, None]
        if blocks is not None and bool((shared == shared[:, :1]).all()):
            each = shared[:, 0]
            blocks = dataclasses.replace(blocks, scales=blocks.scales * each, minima=blocks.minima * each)
        else:
            blocks = None
        return Linear(weight=self.weight * factor, bias=self.bias, blocks=blocks)

    def with_bias_less(self, shift: torch.Tensor) -> Self:
        """Return the matrix with a vector [rows] taken from its outputs."""
        bias = -shift if self.bias is None else self.bias - shift
        return dataclasses.replace(self, bias=bias)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """The matrices of one layer, stacked as the engine has them, and the gains of its normalizations.

    config: the model's geometry.
    linears: by PARTS.
    gains: by the names of `layer_norms`, float32 [inputs of the normalization].
    """

    config: ModelConfig
    linears: Mapping[str, Linear]
    gains: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, checkpoint: Checkpoint, index: int) -> Self:
        """Return a layer of a checkpoint, all of it read."""
        linears = {part: _stacked(checkpoint, index, names) for part, names in LINEARS.items()}
        gains = {
            name: checkpoint.tensor(f"{block(index, stored)}.weight") for name, stored in layer_norms(checkpoint.config).items()
        }
        return cls(config=checkpoint.config, linears=linears, gains=gains)

    def with_linears(self, **linears: Linear) -> Self:
        """Return the layer with some matrices replaced, by PARTS."""
        return dataclasses.replace(self, linears={**self.linears, **linears})

    def with_gain(self, name: str, values: torch.Tensor) -> Self:
        """Return the layer with the gains of one normalization replaced."""
        return dataclasses.replace(self, gains={**self.gains, name: values})

    def heads(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Return queries, keys and values, [heads, tokens, head_dim], of results of `qkv`, normalized where they are."""
        config = self.config
        split = flat.view(len(flat), -1, config.head_dim).transpose(0, 1).split([config.heads, config.kv_heads, config.kv_heads])
        if not config.has_head_norms:
            return list(split)
        normed = [rms_norm(own, self.gains[name], config.norm_eps) for name, own in zip(HEAD_NORMS, split, strict=False)]
        return [*normed, split[2]]


def _stacked(checkpoint: Checkpoint, index: int, names: tuple[str, ...]) -> Linear:
    full = [block(index, name) for name in names]
    biases = [checkpoint.tensor(f"{name}.bias") for name in full if f"{name}.bias" in checkpoint.weights]
    return Linear(
        weight=torch.cat([checkpoint.tensor(f"{name}.weight") for name in full]),
        bias=torch.cat(biases) if biases else None,
        blocks=AffineBlocks.stacked([checkpoint.blocks(f"{name}.weight") for name in full]),
    )
