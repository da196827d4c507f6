"""Rotated values: a Hadamard matrix spreads the outliers of values over a head, and its inverse in `o` turns them back.

A value's channels share one 4-bit step. Turning the rows of v and the inputs of o by the same orthogonal matrix leaves
the layer as it is, and what o reads becomes even too. Stored 4-bit codes of both do not survive it.
"""

import dataclasses
import math
from typing import ClassVar

import torch

from hwsim.errors import SpecError
from models.compress.layer import Layer, Linear
from models.compress.method import Context, Transform

__all__ = ["RotateValues", "hadamard"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotateValues(Transform):
    """Turns the values of every head by a Hadamard matrix."""

    needs_inputs: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("qkv",)

    def applied(self, layer: Layer, part: str, inputs: torch.Tensor | None, context: Context) -> Layer:
        config, qkv, o = layer.config, layer.linears["qkv"], layer.linears["o"]
        turn = hadamard(config.head_dim)
        rows = config.kv_heads * config.head_dim

        def turned(values: torch.Tensor) -> torch.Tensor:
            """Return what belongs to the rows of qkv, [rows, ...], with that of the values turned."""
            heads = values[-rows:].reshape(config.kv_heads, config.head_dim, -1)
            return torch.cat([values[:-rows], (turn @ heads).reshape(values[-rows:].shape)])

        columns = o.weight.view(config.hidden, config.heads, config.head_dim) @ turn.T
        return layer.with_linears(
            qkv=Linear(weight=turned(qkv.weight), bias=None if qkv.bias is None else turned(qkv.bias)),
            o=Linear(weight=columns.flatten(1), bias=o.bias),
        )


def hadamard(size: int) -> torch.Tensor:
    """Return the orthogonal Hadamard matrix, float32 [size, size]; SpecError unless the size is a power of two."""
    if size & (size - 1):
        raise SpecError(f"Channels of a head whose values are rotated must be a power of two, not {size}")
    turn = torch.ones((1, 1))
    while len(turn) < size:
        turn = torch.cat([torch.cat([turn, turn], dim=1), torch.cat([turn, -turn], dim=1)])
    return turn / math.sqrt(size)
