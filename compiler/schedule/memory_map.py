"""Where everything lies off chip: weight streams and caches behind the ports, tables and buffers in the side memory."""

from __future__ import annotations

import dataclasses

from compiler.frontend.llama import FINAL, LAYERS
from compiler.graph import Graph
from compiler.graph.ops import Attention, Linear
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import WEIGHT_FORMATS, CacheLayout
from hwsim.arch.isa import CacheFormat
from hwsim.arch.program import INSTRUCTION_BYTES, Buffer
from hwsim.arch.timing import SIDE_BURST_BEATS
from hwsim.errors import ScheduleError

__all__ = ["SIDE_UNIT", "MemoryMap", "plan_memory"]

SIDE_UNIT = 16
"""Bytes of one side memory unit."""
_PAGE = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryMap:
    """Offsets in beats from each port's base, and byte buffers of the side memory.

    Attributes:
        streams: first beat of each matrix: within its layer for `layers.{}.*`, absolute for the head.
        layer_beats: beats from one layer's weights to the next.
        cache: layout of one head's cache.
        cache_start: first beat of layer 0's caches.
        head_beats: beats of one KV head's keys and values; keys come first.
        cache_layer_beats: beats from one layer's caches to the next.
        sequences: sequences that have caches of their own. sequence_beats: beats from one's caches to the next's.
        total_beats: beats used behind each port.
        parameter_block: side units of the parameters one layer loads; block 0 holds only what the first layer needs at once.
        input_row: side units from one token's residual row to the next; loads start at whole kibibytes.
        output_row: side units from one sequence's logits to the next's.
        rotation_row: side units of one position's rotation.
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
    parameter_block: int
    input_row: int
    output_row: int
    rotation_row: int
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


def norm_words(features: int, lanes: int) -> int:
    """Return the parameter words of one norm: its gains and a word of constants."""
    return features // lanes + 1


def _whole_bursts(units: int) -> int:
    """Return side units rounded up to whole bursts of the side port."""
    return -(-units // SIDE_BURST_BEATS) * SIDE_BURST_BEATS


def plan_memory(
    graph: Graph,
    engine: EngineConfig,
    *,
    max_position: int,
    tokens: int,
    sequences: int = 1,
    cache: CacheFormat = CacheFormat.KV4,
) -> MemoryMap:
    """Return the map for a quantized graph, for `tokens` input rows and `sequences` caches; raise ScheduleError."""
    slices, lanes = engine.tile.slices, engine.vector.lanes
    streams: dict[str, int] = {}
    beat = 0
    for segment in (LAYERS, FINAL):
        start = beat
        for node in graph.segment(segment):
            if isinstance(node.op, Linear) and node.op.format is not None:
                streams[node.name] = beat - (start if segment == LAYERS else 0)
                beat += WEIGHT_FORMATS[node.op.format].stream_words(-(-node.op.rows // slices), node.op.inputs)
        if segment == LAYERS:
            layer_beats = beat
            beat *= graph.repeats[LAYERS]
    attention = next(node.op for node in graph.nodes if isinstance(node.op, Attention))
    layout = CacheLayout.of(engine, cache, attention.head_dim, attention.sinks, attention.window)
    head_beats = layout.key_beats + layout.value_beats
    sequence_beats = graph.repeats[LAYERS] * attention.kv_heads * head_beats
    total = beat + sequences * sequence_beats
    need = total * engine.tile.port_bytes
    if need > engine.channel_bytes:
        raise ScheduleError(
            f"Weights and cache must fit {engine.channel_bytes} bytes behind each port of {engine.name}, not need {need}"
            f" ({need - engine.channel_bytes} too many)"
        )
    qkv = graph.node("layers.{}.qkv").op
    head = graph.node("head").op
    assert isinstance(qkv, Linear) and isinstance(head, Linear)
    hidden = qkv.inputs
    bias_words = -(-qkv.rows // slices) * slices // lanes if qkv.bias else 0
    block = (2 * norm_words(hidden, lanes) + bias_words) * lanes * 4 // SIDE_UNIT
    block = _whole_bursts(block)
    input_row = _whole_bursts(hidden * 4 // SIDE_UNIT)
    output_row = -(-head.rows // slices) * slices * 4 // SIDE_UNIT
    sizes = {
        "program.decode": engine.control.program_words * INSTRUCTION_BYTES,
        "program.prefill": engine.control.program_words * INSTRUCTION_BYTES,
        "input": tokens * input_row * SIDE_UNIT,
        "output": sequences * output_row * SIDE_UNIT,
        "parameters": (graph.repeats[LAYERS] + 1) * block * SIDE_UNIT,
        "rotation": max_position * attention.head_dim * 4,
    }
    buffers, offset = [], 0
    for name, size in sizes.items():
        buffers.append(Buffer(name=name, offset=offset, size=size))
        offset += -(-size // _PAGE) * _PAGE
    return MemoryMap(
        streams=streams,
        layer_beats=layer_beats,
        cache=layout,
        cache_start=beat,
        head_beats=head_beats,
        cache_layer_beats=attention.kv_heads * head_beats,
        sequences=sequences,
        sequence_beats=sequence_beats,
        total_beats=total,
        parameter_block=block,
        input_row=input_row,
        output_row=output_row,
        rotation_row=attention.head_dim * 4 // SIDE_UNIT,
        buffers=tuple(buffers),
    )
