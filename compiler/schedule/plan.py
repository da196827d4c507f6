"""The plan of a program: the regions of every on-chip memory that its steps use."""

from __future__ import annotations

import contextlib
import dataclasses

from compiler.graph import Graph
from compiler.graph.ops import Attention, Linear, Op, SwiGlu
from compiler.schedule.buffers import OnChip
from compiler.schedule.memory_map import MemoryMap, norm_words
from compiler.schedule.projection import Piece, pieces_of
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.errors import ScheduleError

__all__ = ["HEADS", "Plan", "make_plan"]

_OVERLAPS = (4, 3, 2)
"""Attention units in flight, the most that fit: one is scored while the ones before are weighed and mixed."""
HEADS = "layers.{}.attention"
_SEGMENT = 64
_LOGIT_BUFFERS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Addresses in the words of each memory; tuples belong to attention units in flight, or alternating logit chunks.

    Attributes:
        engine, graph, memory: what was planned for.
        tokens: rows of one run.
        sequences: sequences the rows belong to: one, whose consecutive tokens they are, or one for each row.
        queries: query heads that share one pass over a head's keys.
        overlap: attention units in flight.
        pieces: parts of the projection of queries, keys and values, in the order in which they are computed.
        strides: words between token rows, by node.
        results: first result word of each node.
        scores, score_stride: score regions and the words between their rows.
        head_rows: sequences whose logits are computed in one pass over the head.
        logits, logit_rows: logit regions and the head's rows of one chunk.
        value_parameters: value-parameter regions.
        activations, scales: first segment and first scale entry of each quantized node.
        ring_queries, sink_queries, coefficients: (segment, scale entry) of each attention unit's rows.
        attention_norm, ffn_norm, bias, rotation: parameter words; rotation holds (own, sink) of each token.
    """

    engine: EngineConfig
    graph: Graph
    memory: MemoryMap
    tokens: int
    sequences: int
    queries: int
    overlap: int
    pieces: tuple[Piece, ...]
    strides: dict[str, int]
    results: dict[str, int]
    scores: tuple[int, ...]
    score_stride: int
    head_rows: int
    logits: tuple[int, ...]
    logit_rows: int
    value_parameters: tuple[int, ...]
    activations: dict[str, int]
    scales: dict[str, int]
    ring_queries: tuple[tuple[int, int], ...]
    sink_queries: tuple[tuple[int, int], ...]
    coefficients: tuple[tuple[int, int], ...]
    attention_norm: int
    ffn_norm: int
    bias: int
    rotation: int

    @property
    def lanes(self) -> int:
        """Vector lanes of the engine."""
        return self.engine.vector.lanes

    @property
    def positions(self) -> int:
        """Positions of one run: tokens of each sequence."""
        return self.tokens // self.sequences

    @property
    def first_rows(self) -> range:
        """The rows at the run's first position, one of every sequence."""
        return range(0, self.tokens, self.positions)

    def position_of(self, row: int) -> int:
        """Return the position of a row, from the run's first on."""
        return row % self.positions

    def sequence_of(self, row: int) -> int:
        """Return the sequence of a row."""
        return row // self.positions

    def op(self, name: str) -> Op:
        """Return a node's operator."""
        return self.graph.node(name).op

    def linear(self, name: str) -> Linear:
        """Return a linear node's operator."""
        op = self.op(name)
        assert isinstance(op, Linear)
        return op

    @property
    def attention(self) -> Attention:
        """The attention operator."""
        op = self.op(HEADS)
        assert isinstance(op, Attention)
        return op


def _refuse(node: str, what: str, need: str, value: int) -> ScheduleError:
    return ScheduleError(f"{what} of {node} must be {need}, not {value}")


def _check_shapes(graph: Graph, engine: EngineConfig) -> None:
    lanes = engine.vector.lanes
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Linear) and op.format is not None:
            group = WEIGHT_FORMATS[op.format].group
            if op.inputs % group:
                raise _refuse(
                    node.name,
                    "Inputs",
                    f"a multiple of {group}, the {op.format.name} group ({op.inputs % group} too many)",
                    op.inputs,
                )
            if op.inputs // 32 > 1023:
                raise _refuse(node.name, "Inputs", "at most 32736", op.inputs)
        if isinstance(op, SwiGlu) and op.features % lanes:
            raise _refuse(
                node.name, "Features", f"a multiple of {lanes} vector lanes ({op.features % lanes} too many)", op.features
            )
        if isinstance(op, Attention) and op.head_dim % (2 * lanes):
            raise _refuse(node.name, "Head dimension", f"a multiple of {2 * lanes}, two vector words", op.head_dim)


def make_plan(graph: Graph, engine: EngineConfig, memory: MemoryMap, *, tokens: int, sequences: int = 1) -> Plan:
    """Return the plan for runs of `tokens` rows, of one sequence or of as many; raise ScheduleError where it does not fit."""
    if not 1 <= tokens <= engine.tile.tokens:
        raise ScheduleError(f"Rows of a run must be 1 to {engine.tile.tokens}, the engine's token rows, not {tokens}")
    _check_shapes(graph, engine)
    for overlap in _OVERLAPS[:-1]:
        with contextlib.suppress(ScheduleError):
            return _plan(graph, engine, memory, tokens, sequences, overlap)
    return _plan(graph, engine, memory, tokens, sequences, _OVERLAPS[-1])


def _plan(graph: Graph, engine: EngineConfig, memory: MemoryMap, tokens: int, sequences: int, overlap: int) -> Plan:
    slices, lanes = engine.tile.slices, engine.vector.lanes
    chip = OnChip(engine)
    attention = next(node.op for node in graph.nodes if isinstance(node.op, Attention))
    queries = min(attention.heads // attention.kv_heads, engine.tile.rows_of(memory.cache.format.keys))

    def padded_words(rows: int) -> int:
        block = max(slices, lanes)
        return -(-rows // block) * block // lanes

    hidden = graph.node("layers.{}.qkv").op
    assert isinstance(hidden, Linear)
    width = hidden.inputs
    strides = {"input": padded_words(width)}
    residual = chip.take("residual", tokens * strides["input"], "input")
    assert residual == 0
    results: dict[str, int] = {}
    activations: dict[str, int] = {}
    scales: dict[str, int] = {}
    for name, features in (
        ("layers.{}.qkv", hidden.rows),
        (HEADS, attention.heads * attention.head_dim),
        ("layers.{}.gateup", graph.width("layers.{}.gateup")),
    ):
        strides[name] = padded_words(features)
        results[name] = chip.take("result", tokens * strides[name], name)
    cache = memory.cache
    score_words = (cache.sink_slots + cache.ring_slots) // lanes
    scores = tuple(chip.take("result", queries * score_words, HEADS) for _ in range(overlap))
    parameters = tuple(chip.take("side", score_words, HEADS) for _ in range(overlap))
    for name, features in (
        ("layers.{}.attention_norm", width),
        ("layers.{}.attention_codes", attention.heads * attention.head_dim),
        ("layers.{}.swiglu", graph.width("layers.{}.swiglu")),
    ):
        activations[name] = chip.take("activation", -(-features // _SEGMENT), name)
        scales[name] = chip.take("scale", tokens, name)
    for name in ("layers.{}.ffn_norm", "final_norm"):
        activations[name], scales[name] = activations["layers.{}.attention_norm"], scales["layers.{}.attention_norm"]

    def rows(segments: int) -> tuple[tuple[int, int], ...]:
        return tuple((chip.take("activation", segments, HEADS), chip.take("scale", queries, HEADS)) for _ in range(overlap))

    head_segments = -(-attention.head_dim // _SEGMENT)
    ring, sink = rows(head_segments), rows(head_segments)
    coefficients = rows(-(-score_words * lanes // _SEGMENT))
    norm = norm_words(width, lanes)
    ffn_norm = chip.take("parameter", norm, "layers.{}.ffn_norm")
    attention_norm = chip.take("parameter", norm, "layers.{}.attention_norm")
    bias = chip.take("parameter", padded_words(hidden.rows) if hidden.bias else 0, "layers.{}.qkv")
    rotation = chip.take("parameter", 2 * (tokens // sequences) * attention.head_dim // lanes, HEADS)
    head = graph.node("head").op
    assert isinstance(head, Linear) and head.format is not None
    head_rows = min(sequences, engine.tile.rows_of(head.format))
    unit = 4 * max(slices, lanes)
    logit_rows = min(chip.left("result") // (_LOGIT_BUFFERS * head_rows) * lanes, 4095 * 4) // unit * unit
    if logit_rows == 0:
        raise ScheduleError(
            f"Node head must fit the result memory of {engine.name}:"
            f" a chunk needs {unit // lanes} words, {chip.left('result') // (_LOGIT_BUFFERS * head_rows)} are left"
        )
    logits = tuple(chip.take("result", head_rows * logit_rows // lanes, "head") for _ in range(_LOGIT_BUFFERS))
    return Plan(
        engine=engine,
        graph=graph,
        memory=memory,
        tokens=tokens,
        sequences=sequences,
        queries=queries,
        overlap=overlap,
        pieces=pieces_of(attention, engine),
        strides=strides,
        results=results,
        scores=scores,
        score_stride=score_words,
        head_rows=head_rows,
        logits=logits,
        logit_rows=logit_rows,
        value_parameters=parameters,
        activations=activations,
        scales=scales,
        ring_queries=ring,
        sink_queries=sink,
        coefficients=coefficients,
        attention_norm=attention_norm,
        ffn_norm=ffn_norm,
        bias=bias,
        rotation=rotation,
    )
