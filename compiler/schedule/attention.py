"""The attention of one layer as steps: heads of tokens flow through prepare, score, weigh and mix, several in flight."""

from __future__ import annotations

import dataclasses

from compiler.schedule.plan import HEADS, Plan
from compiler.schedule.registers import BLOCKS, CACHE, KEY_BEATS, SCORE_WORDS, VALUE_BEATS, token_registers, token_values
from compiler.schedule.step import Step
from hwsim.arch.isa import Append, Axpy, CacheKind, Dot, Fetch, Format, KvQuant, Rope, Softmax
from hwsim.arch.numerics import score_scale

__all__ = ["append_steps", "attention_steps"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Unit:
    """The query heads [first, first + count) of one token over one KV head; `appends` on the first of a KV head."""

    token: int
    kv_head: int
    first: int
    count: int
    side: int

    def region(self, name: str) -> str:
        return f"{name}.{self.side}"

    def overwrites(self, other: _Unit) -> bool:
        """Return whether the unit's token may take the cache slot of a token that the other unit reads."""
        return self.kv_head == other.kv_head and self.token > other.token


def attention_steps(plan: Plan) -> list[Step]:
    """Return the steps of every (token, KV head).

    While a unit is scored, the queries of the next are prepared, the one before is weighed, and the oldest of those in
    flight is mixed: each unit of the engine works on a head of its own.
    """
    units = _units(plan)
    flow = _Flow(plan)
    flow.prepare(units[0])
    for unit, following in zip(units, [*units[1:], None], strict=True):
        if following is not None:
            flow.prepare(following)
        flow.append(unit)
        if following is not None and not following.overwrites(unit) and flow.is_free(following):
            flow.append(following)
        flow.score(unit)
    while flow.in_flight:
        flow.mix()
    return flow.steps


class _Flow:
    """The units in flight, and the steps that took them there."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.steps: list[Step] = []
        self.in_flight: list[_Unit] = []
        self._weighed = 0
        self._appended: set[tuple[int, int]] = {(0, head) for head in range(plan.attention.kv_heads)}

    def prepare(self, unit: _Unit) -> None:
        """Rotate and quantize the unit's queries."""
        if unit.token > 0 and unit.kv_head == 0 and unit.first == 0:
            # The token before last had the same registers.
            self._weigh(sum(other.token <= unit.token - 2 for other in self.in_flight))
            self.steps += token_values(self.plan, unit.token)
        self.steps += _prepare(self.plan, unit)

    def is_free(self, unit: _Unit) -> bool:
        """Return whether every unit that reads the cache as it was before the unit's token is mixed."""
        return not any(unit.overwrites(other) for other in self.in_flight)

    def append(self, unit: _Unit) -> None:
        """Bring the unit's key and value into the cache, once; the slot may be one that a unit in flight still reads."""
        if (unit.token, unit.kv_head) in self._appended:
            return
        while not self.is_free(unit):
            self.mix()
        self.steps += append_steps(self.plan, unit.token, unit.kv_head)
        self._appended.add((unit.token, unit.kv_head))

    def score(self, unit: _Unit) -> None:
        """Score the unit; weigh the one before, and mix the oldest when as many are in flight as there is room for."""
        self.steps += _score(self.plan, unit)
        self.in_flight.append(unit)
        self._weigh(len(self.in_flight) - 1)
        if len(self.in_flight) == self.plan.overlap:
            self.mix()

    def mix(self) -> None:
        """Mix the oldest unit in flight."""
        self._weigh(1)
        self.steps += _mix(self.plan, self.in_flight.pop(0))
        self._weighed -= 1

    def _weigh(self, count: int) -> None:
        """Weigh the first `count` units in flight that are not."""
        while self._weighed < count:
            self.steps += _weigh(self.plan, self.in_flight[self._weighed])
            self._weighed += 1


def _units(plan: Plan) -> list[_Unit]:
    attention = plan.attention
    group = attention.heads // attention.kv_heads
    units: list[_Unit] = []
    for token in range(plan.tokens):
        for kv_head in range(attention.kv_heads):
            for first in range(0, group, plan.queries):
                count = min(plan.queries, group - first)
                side = len(units) % plan.overlap
                units.append(_Unit(side=side, token=token, kv_head=kv_head, first=kv_head * group + first, count=count))
    return units


def _head_source(plan: Plan, token: int, head: int) -> int:
    qkv = "layers.{}.qkv"
    return plan.results[qkv] + token * plan.strides[qkv] + head * plan.attention.head_dim // plan.lanes


def _head_regions(plan: Plan, first: int, count: int) -> tuple[str, ...]:
    """Return the regions of the projection that hold heads first .. first + count - 1, keys and values counted on."""
    size = plan.attention.head_dim
    return tuple(piece.region for piece in plan.pieces if piece.holds(first * size, count * size))


def _prepare(plan: Plan, unit: _Unit) -> list[Step]:
    attention, lanes = plan.attention, plan.lanes
    words = attention.head_dim // lanes
    steps: list[Step] = []
    mantissa, exponent = score_scale(attention.head_dim)
    own = plan.rotation + 2 * unit.token * words
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
        reads = (*_head_regions(plan, unit.first, unit.count), "rotation")
        steps.append(Step(instruction=rope, node=HEADS, reads=reads, writes=(unit.region(name),)))
    return steps


def append_steps(plan: Plan, token: int, kv_head: int) -> list[Step]:
    """Return the steps that bring a token's key and value of one head into the cache."""
    attention, memory = plan.attention, plan.memory
    words = attention.head_dim // plan.lanes
    slot, _, _ = token_registers(token)
    keys = memory.cache_start + memory.key_start(kv_head)
    values = memory.cache_start + memory.value_start(kv_head)
    steps: list[Step] = []
    for kind, offset, first in (
        (CacheKind.KEY, keys, attention.heads),
        (CacheKind.VALUE, values, attention.heads + attention.kv_heads),
    ):
        entry = (2 * token * attention.kv_heads + 2 * kv_head + kind) % 8
        pack = f"pack.{entry}"
        quantize = KvQuant(
            kind=kind,
            source=_head_source(plan, token, first + kv_head),
            length=words,
            parameter=plan.rotation + 2 * token * words,
            entry=entry,
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
        reads = (*_head_regions(plan, first + kv_head, 1), "rotation")
        steps.append(Step(instruction=quantize, node=HEADS, reads=reads, writes=(pack,)))
        steps.append(Step(instruction=append, node=HEADS, reads=(pack,), writes=(f"cache.{kv_head}",)))
    return steps


def _fetch(plan: Plan, unit: _Unit, start: int, beats: int, register: int) -> Step:
    fetch = Fetch(offset=plan.memory.cache_start + start, beats=beats, registers=(CACHE, register, 0))
    return Step(instruction=fetch, node=HEADS, awaits=(f"cache.{unit.kv_head}",))


def _score(plan: Plan, unit: _Unit) -> list[Step]:
    memory, cache, slices = plan.memory, plan.memory.cache, plan.engine.tile.slices
    keys = memory.key_start(unit.kv_head)
    # The ring's scores follow the first words of the sinks': what the sinks' last block holds beyond them is overwritten.
    sink_words = cache.sink_tokens // plan.lanes
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
        sink_words=cache.sink_tokens // plan.lanes,
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
    sink_beats = cache.value_offset(cache.sink_tokens)
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
