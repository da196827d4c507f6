"""The instructions of attention: prepare, score, weigh and mix some query heads of a token, and append a key and value."""

from __future__ import annotations

import dataclasses

from compiler.graph.ops import Attention
from compiler.lower.base import Piece, Place
from compiler.target.registers import BLOCKS, CACHE, KEY_BEATS, SCORE_WORDS, VALUE_BEATS, token_registers
from compiler.target.run import Run
from compiler.target.step import Step
from hwsim.arch.isa import Append, Axpy, CacheKind, Dot, Fetch, KvQuant, Rope, Softmax
from hwsim.arch.numerics import score_scale

__all__ = ["HeadGroup", "Heads"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadGroup:
    """The query heads [first, first + count) of one token over one KV head; `is_last` of those over that head.

    `side` tells which of the regions that alternate between groups in flight are its own.
    """

    token: int
    kv_head: int
    first: int
    count: int
    side: int
    is_last: bool

    def region(self, name: str) -> str:
        """Return the name of one of the group's regions for the dependencies."""
        return f"{name}.{self.side}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heads:
    """Where the attention of a run lies on chip, and the instructions that work there; tuples belong to groups in flight.

    Attributes:
        run, node, attention: the run, the graph node, its operator.
        source, result: places of the projection and of the attention's own value.
        pieces: of the projection, in the order in which they are computed.
        queries: query heads that share one pass over a head's keys.
        rotation: first parameter word of the rotations, own and sink of each position.
        scores, score_stride: score regions and the words between their rows.
        value_parameters: value-parameter regions.
        ring_queries, sink_queries, coefficients: (segment, scale entry) of each group's rows.
    """

    run: Run
    node: str
    attention: Attention
    source: Place
    result: Place
    pieces: tuple[Piece, ...]
    queries: int
    rotation: int
    scores: tuple[int, ...]
    score_stride: int
    value_parameters: tuple[int, ...]
    ring_queries: tuple[tuple[int, int], ...]
    sink_queries: tuple[tuple[int, int], ...]
    coefficients: tuple[tuple[int, int], ...]

    def groups(self) -> list[HeadGroup]:
        """Return the groups of the run: token by token, KV head by KV head."""
        size = self.attention.heads // self.attention.kv_heads
        groups: list[HeadGroup] = []
        for token in range(self.run.tokens):
            for kv_head in range(self.attention.kv_heads):
                for first in range(0, size, self.queries):
                    count = min(self.queries, size - first)
                    groups.append(
                        HeadGroup(
                            token=token,
                            kv_head=kv_head,
                            first=kv_head * size + first,
                            count=count,
                            side=len(groups) % self.run.overlap,
                            is_last=first + count == size,
                        )
                    )
        return groups

    def _head_source(self, token: int, head: int) -> int:
        return self.source.start + token * self.source.stride + head * self.attention.head_dim // self.run.lanes

    def _head_regions(self, first: int, count: int) -> tuple[str, ...]:
        """Return the regions of the projection that hold heads first .. first + count - 1, keys and values counted on."""
        size, slices = self.attention.head_dim, self.run.slices
        return tuple(piece.region for piece in self.pieces if piece.holds(slices, first * size, count * size))

    def _cache_region(self, token: int, kv_head: int) -> str:
        """Return the region of the cache that a token's sequence has for a head."""
        return f"cache.{self.run.sequence_of(token)}.{kv_head}"

    def prepare(self, group: HeadGroup) -> list[Step]:
        """Return the steps that rotate and quantize a group's queries."""
        attention, lanes = self.attention, self.run.lanes
        words = attention.head_dim // lanes
        steps: list[Step] = []
        mantissa, exponent = score_scale(attention.head_dim)
        own = self.rotation + 2 * self.run.position_of(group.token) * words
        queries = [("ring_queries", self.ring_queries, own)]
        if attention.sinks:
            queries.append(("sink_queries", self.sink_queries, own + words))
        for name, places, rotation in queries:
            segment, scale = places[group.side]
            rope = Rope(
                rows=group.count,
                source=self._head_source(group.token, group.first),
                stride=words,
                length=words,
                destination=segment,
                scale=scale,
                parameter=rotation,
                mantissa=mantissa,
                exponent=exponent,
            )
            reads = (*self._head_regions(group.first, group.count), "rotation")
            steps.append(Step(instruction=rope, node=self.node, reads=reads, writes=(group.region(name),)))
        return steps

    def append(self, token: int, kv_head: int) -> list[Step]:
        """Return the steps that bring a token's key and value of one head into the cache."""
        attention, memory = self.attention, self.run.memory
        words = attention.head_dim // self.run.lanes
        position, sequence = self.run.position_of(token), self.run.sequence_of(token)
        slot, _, _ = token_registers(position)
        keys = memory.cache_start + memory.key_start(kv_head, sequence)
        values = memory.cache_start + memory.value_start(kv_head, sequence)
        turn = kv_head * self.run.sequences + sequence + position * attention.kv_heads
        steps: list[Step] = []
        for kind, offset, first in (
            (CacheKind.KEY, keys, attention.heads),
            (CacheKind.VALUE, values, attention.heads + attention.kv_heads),
        ):
            entry = (2 * turn + kind) % 8
            pack = f"pack.{entry}"
            quantize = KvQuant(
                kind=kind,
                source=self._head_source(token, first + kv_head),
                length=words,
                parameter=self.rotation + 2 * position * words,
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
            reads = (*self._head_regions(first + kv_head, 1), "rotation")
            steps.append(Step(instruction=quantize, node=self.node, reads=reads, writes=(pack,)))
            steps.append(Step(instruction=append, node=self.node, reads=(pack,), writes=(self._cache_region(token, kv_head),)))
        return steps

    def _fetch(self, group: HeadGroup, start: int, beats: int, register: int) -> Step:
        fetch = Fetch(offset=self.run.memory.cache_start + start, beats=beats, registers=(CACHE, register, 0))
        return Step(instruction=fetch, node=self.node, awaits=(self._cache_region(group.token, group.kv_head),))

    def score(self, group: HeadGroup) -> list[Step]:
        """Return the steps that score a group over its head's keys."""
        memory, cache, slices = self.run.memory, self.run.memory.cache, self.run.slices
        keys = memory.key_start(group.kv_head, self.run.sequence_of(group.token))
        # The ring's scores follow the first words of the sinks': what the sinks' last block holds beyond them is overwritten.
        sink_words = cache.sink_tokens // self.run.lanes
        steps: list[Step] = []
        parts = [("ring_queries", self.ring_queries, cache.ring_start, 0, 0, KEY_BEATS, BLOCKS, sink_words)]
        if cache.sinks:
            beats, blocks = cache.key_run_beats(cache.sink_slots), cache.sink_slots // slices
            parts.insert(0, ("sink_queries", self.sink_queries, 0, beats, blocks, 0, 0, 0))
        for name, places, slot, beats, blocks, beat_register, block_register, word in parts:
            segment, scale = places[group.side]
            steps.append(self._fetch(group, keys + cache.key_offset(slot), beats, beat_register))
            dot = Dot(
                format=cache.format.keys,
                rows=group.count,
                source=segment,
                inner=cache.head_dim // 32,
                blocks=blocks,
                scale=scale,
                address=self.scores[group.side] + word,
                stride=self.score_stride,
                side=self.value_parameters[group.side] + word,
                registers=(block_register, 0, 0),
            )
            steps.append(
                Step(
                    instruction=dot,
                    node=self.node,
                    reads=(group.region(name),),
                    writes=(group.region("scores"), group.region("value_parameters")),
                    frees=(self._cache_region(group.token, group.kv_head),),
                    consumes=1,
                )
            )
        return steps

    def weigh(self, group: HeadGroup) -> list[Step]:
        """Return the steps that make coefficients of a group's scores."""
        cache = self.run.memory.cache
        _, sinks, ring = token_registers(self.run.position_of(group.token))
        segment, scale = self.coefficients[group.side]
        softmax = Softmax(
            rows=group.count,
            source=self.scores[group.side],
            stride=self.score_stride,
            destination=segment,
            scale=scale,
            side=self.value_parameters[group.side],
            sink_words=cache.sink_tokens // self.run.lanes,
            sinks=0,
            ring_words=0,
            ring=0,
            registers=(sinks, SCORE_WORDS, ring),
        )
        reads = (group.region("scores"), group.region("value_parameters"))
        return [Step(instruction=softmax, node=self.node, reads=reads, writes=(group.region("coefficients"),))]

    def mix(self, group: HeadGroup) -> list[Step]:
        """Return the steps that sum a group's values by their coefficients."""
        attention, memory, cache = self.attention, self.run.memory, self.run.memory.cache
        values = memory.value_start(group.kv_head, self.run.sequence_of(group.token))
        words = attention.head_dim // self.run.lanes
        segment, scale = self.coefficients[group.side]
        steps: list[Step] = []
        sink_beats = cache.value_offset(cache.sink_tokens)
        if sink_beats:
            steps.append(self._fetch(group, values, sink_beats, 0))
        steps.append(self._fetch(group, values + cache.value_offset(cache.ring_start), 0, VALUE_BEATS))
        axpy = Axpy(
            rows=group.count,
            source=segment,
            beats=sink_beats,
            segments=cache.words.bit_length() - 1,
            scale=scale,
            address=self.result.start + group.token * self.result.stride + group.first * words,
            stride=words,
            cache=cache.format,
            registers=(VALUE_BEATS, 0, 0),
        )
        steps.append(
            Step(
                instruction=axpy,
                node=self.node,
                reads=(group.region("coefficients"),),
                writes=(self.result.region,),
                frees=(self._cache_region(group.token, group.kv_head),),
                consumes=len(steps),
            )
        )
        return steps
