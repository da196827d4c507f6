"""The attention of one layer as steps: heads of tokens flow through prepare, score, weigh and mix, two in flight."""

from __future__ import annotations

import dataclasses

from compiler.schedule.plan import HEADS, OVERLAP, Plan
from compiler.schedule.registers import BLOCKS, CACHE, KEY_BEATS, SCORE_WORDS, VALUE_BEATS, token_registers, token_values
from compiler.schedule.step import Step
from hwsim.arch.isa import Append, Axpy, CacheKind, Dot, Fetch, Format, KvQuant, Rope, Softmax
from hwsim.arch.numerics import score_scale

__all__ = ["attention_steps"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Unit:
    """The query heads [first, first + count) of one token over one KV head; `appends` on the first of a KV head."""

    index: int
    token: int
    kv_head: int
    first: int
    count: int

    @property
    def side(self) -> int:
        return self.index % OVERLAP

    def region(self, name: str) -> str:
        return f"{name}.{self.side}"


def attention_steps(plan: Plan) -> list[Step]:
    """Return the steps of every (token, KV head), each unit's weights computed while the next unit is scored."""
    units = _units(plan)
    steps: list[Step] = []
    for index in range(len(units) + 1):
        if index < len(units):
            steps += _prepare(plan, units[index]) + _score(plan, units[index])
        if index > 0:
            steps += _weigh(plan, units[index - 1]) + _mix(plan, units[index - 1])
    return steps


def _units(plan: Plan) -> list[_Unit]:
    attention = plan.attention
    group = attention.heads // attention.kv_heads
    units: list[_Unit] = []
    for token in range(plan.tokens):
        for kv_head in range(attention.kv_heads):
            for first in range(0, group, plan.queries):
                count = min(plan.queries, group - first)
                units.append(_Unit(index=len(units), token=token, kv_head=kv_head, first=kv_head * group + first, count=count))
    return units


def _head_source(plan: Plan, token: int, head: int) -> int:
    qkv = "layers.{}.qkv"
    return plan.results[qkv] + token * plan.strides[qkv] + head * plan.attention.head_dim // plan.lanes


def _prepare(plan: Plan, unit: _Unit) -> list[Step]:
    attention, lanes = plan.attention, plan.lanes
    words = attention.head_dim // lanes
    steps: list[Step] = []
    if plan.tokens > 1 and unit.kv_head == 0 and unit.first == 0:
        steps += token_values(plan, unit.token)
    own = plan.rotation + 2 * unit.token * words
    if unit.first % (attention.heads // attention.kv_heads) == 0:
        steps += _append(plan, unit, own, words)
    mantissa, exponent = score_scale(attention.head_dim)
    queries = [("ring_queries", plan.ring_queries, own)]
    if attention.sinks:
        queries.append(("sink_queries", plan.sink_queries, own + words))
    for name, places, rotation in queries:
        segment, scale = places[unit.side]
        rope = Rope(
            rows=unit.count,
            source=_head_source(plan, unit.token, unit.first),
            stride=words,
            length=words,
            destination=segment,
            scale=scale,
            parameter=rotation,
            mantissa=mantissa,
            exponent=exponent,
        )
        steps.append(Step(instruction=rope, node=HEADS, reads=("qkv", "rotation"), writes=(unit.region(name),)))
    return steps


def _append(plan: Plan, unit: _Unit, rotation: int, words: int) -> list[Step]:
    attention, memory = plan.attention, plan.memory
    slot, _, _ = token_registers(unit.token)
    keys = memory.cache_start + memory.key_start(unit.kv_head)
    values = memory.cache_start + memory.value_start(unit.kv_head)
    steps: list[Step] = []
    for kind, offset, first in (
        (CacheKind.KEY, keys, attention.heads),
        (CacheKind.VALUE, values, attention.heads + attention.kv_heads),
    ):
        entry = (2 * unit.token * attention.kv_heads + 2 * unit.kv_head + kind) % 8
        pack = f"pack.{entry}"
        quantize = KvQuant(
            kind=kind, source=_head_source(plan, unit.token, first + unit.kv_head), length=words, parameter=rotation, entry=entry
        )
        append = Append(
            kind=kind,
            entry=entry,
            segments=memory.cache.words.bit_length() - 1,
            offset=offset,
            keys=keys,
            slot=0,
            registers=(CACHE, slot, CACHE),
        )
        cache = f"cache.{unit.kv_head}"
        steps.append(Step(instruction=quantize, node=HEADS, reads=("qkv", "rotation"), writes=(pack,)))
        steps.append(Step(instruction=append, node=HEADS, reads=(pack,), writes=(cache,)))
    return steps


def _fetch(plan: Plan, unit: _Unit, start: int, beats: int, register: int) -> Step:
    fetch = Fetch(offset=plan.memory.cache_start + start, beats=beats, registers=(CACHE, register, 0))
    return Step(instruction=fetch, node=HEADS, awaits=(f"cache.{unit.kv_head}",))


def _score(plan: Plan, unit: _Unit) -> list[Step]:
    memory, cache, slices = plan.memory, plan.memory.cache, plan.engine.tile.slices
    keys = memory.key_start(unit.kv_head)
    sink_words = cache.sink_slots // plan.lanes
    steps: list[Step] = []
    parts = [("ring_queries", plan.ring_queries, cache.ring_start, 0, 0, KEY_BEATS, BLOCKS, sink_words)]
    if cache.sinks:
        beats, blocks = cache.key_run_beats(cache.sink_slots), cache.sink_slots // slices
        parts.insert(0, ("sink_queries", plan.sink_queries, 0, beats, blocks, 0, 0, 0))
    for name, places, slot, beats, blocks, beat_register, block_register, word in parts:
        segment, scale = places[unit.side]
        steps.append(_fetch(plan, unit, keys + cache.key_offset(slot), beats, beat_register))
        dot = Dot(
            format=Format.KV4,
            rows=unit.count,
            source=segment,
            inner=cache.words,
            blocks=blocks,
            scale=scale,
            address=plan.scores[unit.side] + word,
            stride=plan.score_stride,
            side=plan.value_parameters[unit.side] + word,
            registers=(block_register, 0, 0),
        )
        steps.append(
            Step(
                instruction=dot,
                node=HEADS,
                reads=(unit.region(name),),
                writes=(unit.region("scores"), unit.region("value_parameters")),
                frees=(f"cache.{unit.kv_head}",),
                consumes=1,
            )
        )
    return steps


def _weigh(plan: Plan, unit: _Unit) -> list[Step]:
    cache = plan.memory.cache
    _, sinks, ring = token_registers(unit.token)
    segment, scale = plan.coefficients[unit.side]
    softmax = Softmax(
        rows=unit.count,
        source=plan.scores[unit.side],
        stride=plan.score_stride,
        destination=segment,
        scale=scale,
        side=plan.value_parameters[unit.side],
        sink_words=cache.sink_slots // plan.lanes,
        sinks=0,
        ring_words=0,
        ring=0,
        registers=(sinks, SCORE_WORDS, ring),
    )
    reads = (unit.region("scores"), unit.region("value_parameters"))
    return [Step(instruction=softmax, node=HEADS, reads=reads, writes=(unit.region("coefficients"),))]


def _mix(plan: Plan, unit: _Unit) -> list[Step]:
    attention, memory, cache = plan.attention, plan.memory, plan.memory.cache
    values = memory.value_start(unit.kv_head)
    words = attention.head_dim // plan.lanes
    segment, scale = plan.coefficients[unit.side]
    steps: list[Step] = []
    sink_beats = cache.value_offset(cache.sink_slots)
    if sink_beats:
        steps.append(_fetch(plan, unit, values, sink_beats, 0))
    steps.append(_fetch(plan, unit, values + cache.value_offset(cache.ring_start), 0, VALUE_BEATS))
    axpy = Axpy(
        rows=unit.count,
        source=segment,
        beats=sink_beats,
        segments=cache.words.bit_length() - 1,
        scale=scale,
        address=plan.results[HEADS] + unit.token * plan.strides[HEADS] + unit.first * words,
        stride=words,
        registers=(VALUE_BEATS, 0, 0),
    )
    steps.append(
        Step(
            instruction=axpy,
            node=HEADS,
            reads=(unit.region("coefficients"),),
            writes=("attention",),
            frees=(f"cache.{unit.kv_head}",),
            consumes=len(steps),
        )
    )
    return steps
