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

__all__ = ["RotateValues", "hadamard", "turned", "turned_inputs"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotateValues(Transform):
    """Turns the values of every head by a Hadamard matrix."""

    needs_inputs: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("qkv",)

    def applied(self, layer: Layer, part: str, inputs: torch.Tensor | None, context: Context) -> Layer:
        return turned(layer)


def turned(layer: Layer) -> Layer:
    """Return a layer whose values are turned; of one whose values are turned already, the layer that it was."""
    config, qkv, o = layer.config, layer.linears["qkv"], layer.linears["o"]
    turn = hadamard(config.head_dim)
    rows = config.kv_heads * config.head_dim

    def of_rows(values: torch.Tensor) -> torch.Tensor:
        """Return what belongs to the rows of qkv, [rows, ...], with that of the values turned."""
        heads = values[-rows:].reshape(config.kv_heads, config.head_dim, -1)
        return torch.cat([values[:-rows], (turn @ heads).reshape(values[-rows:].shape)])

    return layer.with_linears(
        qkv=Linear(weight=of_rows(qkv.weight), bias=None if qkv.bias is None else of_rows(qkv.bias)),
        o=Linear(weight=turned_inputs(o.weight, config.head_dim), bias=o.bias),
    )


def turned_inputs(inputs: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Return what belongs to the inputs of `o`, [rows, heads * head_dim], with each head turned."""
    heads = inputs.reshape(len(inputs), -1, head_dim) @ hadamard(head_dim).T
    return heads.flatten(1)


def hadamard(size: int) -> torch.Tensor:
    """Return the Hadamard matrix that is its own inverse, float32 [size, size]; SpecError unless the size is a power of two."""
    if size & (size - 1):
        raise SpecError(f"Channels of a head whose values are rotated must be a power of two, not {size}")
    turn = torch.ones((1, 1))
    while len(turn) < size:
        turn = torch.cat([torch.cat([turn, turn], dim=1), torch.cat([turn, -turn], dim=1)])
    return turn / math.sqrt(size)
