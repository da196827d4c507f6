"""Closed form of a decode step: cycles bound by the bytes that it streams."""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.isa import CacheFormat, Format
from lamforge.explore.candidates import Candidates

__all__ = ["ClosedForm", "closed"]

_WEIGHT_BITS = np.array([format.sizes.bits_per_weight for format in Format])
_CACHE_BITS = np.array([format.bits for format in CacheFormat])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClosedForm:
    """What the closed form says of candidates, as arrays that broadcast to [candidates].

    Attributes:
        cycles: of a decode step.
        stream_bytes, side_read_bytes, side_write_bytes: bytes through the ports.
        fits: whether the program and its data fit the engine.
    """

    cycles: np.ndarray
    stream_bytes: np.ndarray
    side_read_bytes: np.ndarray
    side_write_bytes: np.ndarray
    fits: np.ndarray


def closed(candidates: Candidates) -> ClosedForm:
    """Return the closed form of candidates."""
    each = candidates
    query = each.heads * each.head_dim
    weights = each.layers * (2 * query + 2 * each.kv_heads * each.head_dim + 3 * each.ffn) * each.hidden
    head = each.vocab * each.hidden
    cached = 2 * each.layers * each.kv_heads * each.head_dim * (each.sinks + each.window) * each.batch
    bits = weights * _WEIGHT_BITS[each.layer_format] + head * _WEIGHT_BITS[each.head_format]
    stream = (bits + cached * (_CACHE_BITS[each.cache_format] + 32 / each.head_dim)) / 8
    beats = stream / (each.ports * each.port_bits / 8)
    two_bit = (each.layer_format == int(Format.W2)) | (each.layer_format == int(Format.W2S))
    rows = np.where(two_bit, each.tokens, np.minimum(each.tokens, each.nibble_tokens))
    fits = (stream <= each.ports * each.channel_bytes) & (each.batch <= rows)
    nothing = np.zeros_like(stream)
    return ClosedForm(cycles=beats * 1.07, stream_bytes=stream, side_read_bytes=nothing, side_write_bytes=nothing, fits=fits)
