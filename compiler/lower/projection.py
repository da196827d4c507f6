"""In which order the projection that attention reads is computed, so that the first heads go on before the last are there."""

from __future__ import annotations

from compiler.graph.ops import Attention
from compiler.lower.base import Piece, Place
from hwsim.arch.config import EngineConfig
from hwsim.arch.stream_sizes import WEIGHT_HEADER_BLOCKS

__all__ = ["pieces_of"]

_MOST_PIECES = 24
"""Pieces of one projection, at most: enough to overlap, few enough to dispatch."""


def pieces_of(attention: Attention, engine: EngineConfig, place: Place) -> tuple[Piece, ...]:
    """Return the pieces in the order in which they are computed: those with keys or values first, key and value in turn.

    Rows are those of all query heads, then keys, then values. A piece starts with a header of the stream and a whole
    result word.
    """
    slices, lanes = engine.tile.slices, engine.vector.lanes
    query_rows = attention.heads * attention.head_dim
    key_rows = attention.kv_heads * attention.head_dim
    blocks = -(-(query_rows + 2 * key_rows) // slices)
    step = max(WEIGHT_HEADER_BLOCKS, lanes // slices)
    step *= -(-blocks // (step * _MOST_PIECES))
    pieces = [
        Piece(
            first=first,
            blocks=min(step, blocks - first),
            address=place.start + first * slices // lanes,
            stride=place.stride,
            region=f"{place.region}.{first}",
        )
        for first in range(0, blocks, step)
    ]
    queries = [piece for piece in pieces if not piece.holds(slices, query_rows, 2 * key_rows)]
    others = [piece for piece in pieces if piece.holds(slices, query_rows, 2 * key_rows)]
    keys = [piece for piece in others if not piece.holds(slices, query_rows + key_rows, key_rows)]
    values = others[len(keys) :]
    turns = [piece for pair in zip(keys, values, strict=False) for piece in pair]
    left = keys[len(values) :] + values[len(keys) :]
    return (*turns, *left, *queries)
