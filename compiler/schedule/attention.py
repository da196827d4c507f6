"""The attention of one layer as steps: heads of tokens flow through prepare, score, weigh and mix, several in flight."""

from __future__ import annotations

import dataclasses

from compiler.schedule.plan import HEADS, Plan
from compiler.schedule.registers import BLOCKS, CACHE, KEY_BEATS, SCORE_WORDS, VALUE_BEATS, token_registers, token_values
from compiler.schedule.step import Step
from hwsim.arch.isa import Append, Axpy, CacheKind, Dot, Fetch, KvQuant, Rope, Softmax
from hwsim.arch.numerics import score_scale

__all__ = ["append_steps", "attention_steps"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Unit:
    """The query heads [first, first + count) of one token over one KV head; `is_last` of those over that head."""

    token: int
    kv_head: int
    first: int
    count: int
    side: int
    is_last: bool

    def region(self, name: str) -> str:
        return f"{name}.{self.side}"


def attention_steps(plan: Plan) -> list[Step]:
    """Return the steps of every (token, KV head).

    While a unit is scored, queries of later ones are prepared, the one before is weighed, and the oldest of those in
    flight is mixed: each unit of the engine works on a head of its own. The key and value of a sequence's next token
    follow as soon as the token before needs its head's cache no more.
    """
    units = _units(plan)
    flow = _Flow(plan)
    # As far ahead as there are places for queries.
    ahead = plan.overlap - 1
    for index in range(-ahead, len(units)):
        if index + ahead < len(units):
            flow.prepare(units[index + ahead])
        if index >= 0:
            flow.score(units[index])
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
        self._known = 0
        self._appended = {(row, head) for row in plan.first_rows for head in range(plan.attention.kv_heads)}

    def prepare(self, unit: _Unit) -> None:
        """Rotate and quantize the unit's queries."""
        self._know(self.plan.position_of(unit.token))
        self.steps += _prepare(self.plan, unit)

    def score(self, unit: _Unit) -> None:
        """Score the unit; weigh the one before, and mix the oldest when as many are in flight as there is room for."""
        while (unit.token, unit.kv_head) not in self._appended:
            self.mix()
        self.steps += _score(self.plan, unit)
        self.in_flight.append(unit)
        self._weigh(len(self.in_flight) - 1)
        if len(self.in_flight) == self.plan.overlap:
            self.mix()

    def mix(self) -> None:
        """Mix the oldest unit in flight; when it was the last of its token and head, the next token takes its slot."""
        self._weigh(1)
        unit = self.in_flight.pop(0)
        self._weighed -= 1
        self.steps += _mix(self.plan, unit)
        if unit.is_last and self.plan.position_of(unit.token) + 1 < self.plan.positions:
            self._know(self.plan.position_of(unit.token) + 1)
            self.steps += append_steps(self.plan, unit.token + 1, unit.kv_head)
            self._appended.add((unit.token + 1, unit.kv_head))

    def _know(self, position: int) -> None:
        """Set the registers of a position, which the position before last had."""
        if position <= self._known:
            return
        self._weigh(sum(self.plan.position_of(unit.token) <= position - 2 for unit in self.in_flight))
        self.steps += token_values(self.plan, position)
        self._known = position

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
                units.append(
                    _Unit(
                        token=token,
                        kv_head=kv_head,
                        first=kv_head * group + first,
                        count=count,
                        side=len(units) % plan.overlap,
                        is_last=first + count == group,
                    )
                )
    return units


def _head_source(plan: Plan, token: int, head: int) -> int:
    qkv = "layers.{}.qkv"
    return plan.results[qkv] + token * plan.strides[qkv] + head * plan.attention.head_dim // plan.lanes


def _head_regions(plan: Plan, first: int, count: int) -> tuple[str, ...]:
    """Return the regions of the projection that hold heads first .. first + count - 1, keys and values counted on."""
    size = plan.attention.head_dim
    return tuple(piece.region for piece in plan.pieces if piece.holds(first * size, count * size))


def _cache_region(plan: Plan, token: int, kv_head: int) -> str:
    """Return the region of the cache that a token's sequence has for a head."""
    return f"cache.{plan.sequence_of(token)}.{kv_head}"


def _prepare(plan: Plan, unit: _Unit) -> list[Step]:
    attention, lanes = plan.attention, plan.lanes
    words = attention.head_dim // lanes
    steps: list[Step] = []
    mantissa, exponent = score_scale(attention.head_dim)
    own = plan.rotation + 2 * plan.position_of(unit.token) * words
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
    position, sequence = plan.position_of(token), plan.sequence_of(token)
    slot, _, _ = token_registers(position)
    keys = memory.cache_start + memory.key_start(kv_head, sequence)
    values = memory.cache_start + memory.value_start(kv_head, sequence)
    turn = kv_head * plan.sequences + sequence + position * attention.kv_heads
    steps: list[Step] = []
    for kind, offset, first in (
        (CacheKind.KEY, keys, attention.heads),
        (CacheKind.VALUE, values, attention.heads + attention.kv_heads),
    ):
        entry = (2 * turn + kind) % 8
        pack = f"pack.{entry}"
        quantize = KvQuant(
            kind=kind,
            source=_head_source(plan, token, first + kv_head),
            length=words,
            parameter=plan.rotation + 2 * position * words,
            entry=entry,
            cache=memory.cache.format,
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
        steps.append(Step(instruction=append, node=HEADS, reads=(pack,), writes=(_cache_region(plan, token, kv_head),)))
    return steps


def _fetch(plan: Plan, unit: _Unit, start: int, beats: int, register: int) -> Step:
    fetch = Fetch(offset=plan.memory.cache_start + start, beats=beats, registers=(CACHE, register, 0))
    return Step(instruction=fetch, node=HEADS, awaits=(_cache_region(plan, unit.token, unit.kv_head),))


def _score(plan: Plan, unit: _Unit) -> list[Step]:
    memory, cache, slices = plan.memory, plan.memory.cache, plan.engine.tile.slices
    keys = memory.key_start(unit.kv_head, plan.sequence_of(unit.token))
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
            format=cache.format.keys,
            rows=unit.count,
            source=segment,
            inner=cache.head_dim // 32,
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
                frees=(_cache_region(plan, unit.token, unit.kv_head),),
                consumes=1,
            )
        )
    return steps


def _weigh(plan: Plan, unit: _Unit) -> list[Step]:
    cache = plan.memory.cache
    _, sinks, ring = token_registers(plan.position_of(unit.token))
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
    values = memory.value_start(unit.kv_head, plan.sequence_of(unit.token))
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
        cache=cache.format,
        registers=(VALUE_BEATS, 0, 0),
    )
    steps.append(
        Step(
            instruction=axpy,
            node=HEADS,
            reads=(unit.region("coefficients"),),
            writes=("attention",),
            frees=(_cache_region(plan, unit.token, unit.kv_head),),
            consumes=len(steps),
        )
    )
    return steps
