"""Where everything lies off chip: weight streams and caches behind the ports, tables and buffers in the side memory."""

from __future__ import annotations

import dataclasses

from hwsim.arch.formats import CacheLayout
from hwsim.arch.program import Buffer
from hwsim.arch.timing import SIDE_BURST_BEATS

__all__ = ["SIDE_UNIT", "MemoryMap", "ParameterBlock", "SideTable", "whole_bursts"]

SIDE_UNIT = 16
"""Bytes of one side memory unit."""


def whole_bursts(units: int) -> int:
    """Return side units rounded up to whole bursts of the side port."""
    return -(-units // SIDE_BURST_BEATS) * SIDE_BURST_BEATS


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideTable:
    """A buffer of the side memory: its name, side units from one row to the next, and rows."""

    name: str
    row_units: int
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParameterBlock:
    """The parameters that one layer loads: those it still needs, then those that the next layer must find loaded.

    In front of `load_before`, which runs long, the parameters of the nodes before it have been used, so that those of
    the next layer may take their place; after the last layer, those of what follows the layers.

    Attributes:
        load_before: node in front of which a layer loads the block.
        offsets: first word of each node's parameters.
        words: of the block.
        ahead: first word of what the next layer must find loaded.
        units: side units from one layer's block to the next; block 0 holds only what the first layer must find loaded.
    """

    load_before: str
    offsets: dict[str, int]
    words: int
    ahead: int
    units: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryMap:
    """Offsets in beats from each port's base, and byte buffers of the side memory.

    Attributes:
        streams: first beat of each matrix: within its layer for the nodes of a layer, absolute for the others.
        layer_beats: beats from one layer's weights to the next.
        cache: layout of one head's cache.
        cache_start: first beat of layer 0's caches.
        head_beats: beats of one KV head's keys and values; keys come first.
        cache_layer_beats: beats from one layer's caches to the next.
        sequences: sequences that have caches of their own. sequence_beats: beats from one's caches to the next's.
        total_beats: beats used behind each port.
        parameters: what a layer loads from the buffer `parameters`.
        row_units: side units from one row to the next of the other buffers, by name.
        buffers: ranges of the side memory.
    """

    streams: dict[str, int]
    layer_beats: int
    cache: CacheLayout
    cache_start: int
    head_beats: int
    cache_layer_beats: int
    sequences: int
    sequence_beats: int
    total_beats: int
    parameters: ParameterBlock
    row_units: dict[str, int]
    buffers: tuple[Buffer, ...]

    def key_start(self, kv_head: int, sequence: int = 0) -> int:
        """Return the first beat of a head's keys, from its layer's caches of the first sequence on."""
        return sequence * self.sequence_beats + kv_head * self.head_beats

    def value_start(self, kv_head: int, sequence: int = 0) -> int:
        """Return the first beat of a head's values, from its layer's caches of the first sequence on."""
        return self.key_start(kv_head, sequence) + self.cache.key_beats

    def units(self, name: str) -> int:
        """Return the first side unit of a buffer."""
        return next(buffer.offset for buffer in self.buffers if buffer.name == name) // SIDE_UNIT
