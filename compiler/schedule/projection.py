"""The query, key and value projection in pieces of whole row blocks, so that the first heads go on before the last are there."""

from __future__ import annotations

import dataclasses

from compiler.graph.ops import Attention
from hwsim.arch.config import EngineConfig
from hwsim.arch.stream_sizes import WEIGHT_HEADER_BLOCKS

__all__ = ["Piece", "pieces_of"]

_MOST_PIECES = 24
"""Pieces of one projection, at most: enough to overlap, few enough to dispatch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Row blocks first .. first + blocks - 1 of the projection; rows are those of all query heads, then keys, then values.

    `region` names the results for the dependencies.
    """

    first: int
    blocks: int
    slices: int

    @property
    def region(self) -> str:
        """Region of the piece's results."""
        return f"qkv.{self.first}"

    def holds(self, start: int, count: int) -> bool:
        """Return whether any of the rows start .. start + count - 1 is in the piece."""
        return self.first * self.slices < start + count and start < (self.first + self.blocks) * self.slices


def pieces_of(attention: Attention, engine: EngineConfig) -> tuple[Piece, ...]:
    """Return the pieces in the order in which they are computed: those with keys or values first, key and value in turn.

    A piece starts with a header of the stream and a whole result word.
    """
    slices, lanes = engine.tile.slices, engine.vector.lanes
    query_rows = attention.heads * attention.head_dim
    key_rows = attention.kv_heads * attention.head_dim
    blocks = -(-(query_rows + 2 * key_rows) // slices)
    step = max(WEIGHT_HEADER_BLOCKS, lanes // slices)
    step *= -(-blocks // (step * _MOST_PIECES))
    cuts = range(0, blocks, step)
    pieces = [Piece(first=first, blocks=min(step, blocks - first), slices=slices) for first in cuts]
    queries = [piece for piece in pieces if not piece.holds(query_rows, 2 * key_rows)]
    others = [piece for piece in pieces if piece.holds(query_rows, 2 * key_rows)]
    keys = [piece for piece in others if not piece.holds(query_rows + key_rows, key_rows)]
    values = others[len(keys) :]
    turns = [piece for pair in zip(keys, values, strict=False) for piece in pair]
    left = keys[len(values) :] + values[len(keys) :]
    return (*turns, *left, *queries)
