"""The instructions of attention: prepare, score, weigh and mix some query heads of a token, append a key and value."""

import dataclasses
import functools
import itertools

from compiler.graph.ops import Attention
from compiler.lower.base import SEGMENT, Piece, Place
from compiler.target.memory import OnChip, Run
from compiler.target.step import BLOCKS, CACHE, KEY_BEATS, SCORE_WORDS, SCRATCH, VALUE_BEATS, Step, add, scalar, token_registers
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, Append, Axpy, CacheKind, Dot, Fetch, Function, KvQuant, Rope, Softmax
from hwsim.arch.numerics import score_scale
from hwsim.arch.stream_sizes import WEIGHT_HEADER_BLOCKS

__all__ = ["MOST_PIECES", "PACK_ENTRIES", "HeadGroup", "Heads"]

MOST_PIECES = 24
"""Pieces of one projection, at most: enough to overlap, few enough to dispatch."""
PACK_ENTRIES = 8
"""Entries of the pack buffer, taken in turn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadGroup:
    """The query heads [first, first + count) of one token over one KV head; `is_last` of those over that head.

    `side` tells which of the places that alternate between groups in flight are its own.
    """

    token: int
    kv_head: int
    first: int
    count: int
    side: int
    is_last: bool


class Heads:
    """The attention of a run: its places on chip, one of each kind for every group in flight, and the instructions there."""

    def __init__(self, run: Run, chip: OnChip, node: str, attention: Attention, source: Place, result: Place):
        self.run = run
        self.node = node
        self.attention = attention
        self.source = source
        self.result = result
        self.pieces = self._pieces()
        # Matrix rows from one to before another, and the region that holds their results.
        self._regions = [(*piece.rows(run.slices), piece.place.region) for piece in self.pieces]
        self._head_regions = functools.cache(self._regions_of)
        cache, user, size = run.memory.cache, f"Node {node}", attention.head_dim
        self.words = self.apart = size // run.lanes
        # Query heads that share one pass over a head's keys.
        self.queries = queries = min(attention.heads // attention.kv_heads, run.engine.tile.rows_of(cache.format.keys))
        score_words = (cache.sink_slots + cache.ring_slots) // run.lanes

        def places(memory: str, each: int, *, stride: int = 0, scales: int = 0) -> list[Place]:
            starts = [(chip.take(memory, each, user), chip.take("scale", scales, user)) for _ in range(run.overlap)]
            return [Place(memory=memory, start=start, stride=stride, scale=scale) for start, scale in starts]

        # Those of each position: its own and, for the sinks, one that stays within the window.
        self.rotation = chip.take("parameter", 2 * run.positions * self.words, user)
        self.scores = places("result", queries * score_words, stride=score_words)
        self.value_parameters = places("side", score_words)
        self.ring_queries = places("activation", -(-size // SEGMENT), scales=queries)
        self.sink_queries = places("activation", -(-size // SEGMENT), scales=queries)
        self.coefficients = places("activation", -(-score_words * run.lanes // SEGMENT), scales=queries)

    def groups(self) -> list[HeadGroup]:
        """Return the groups of the run: token by token, KV head by KV head."""
        kv_heads = self.attention.kv_heads
        size = self.attention.heads // kv_heads
        parts = itertools.product(range(self.run.tokens), range(kv_heads), range(0, size, self.queries))
        return [
            HeadGroup(
                token=token,
                kv_head=kv_head,
                first=kv_head * size + first,
                count=min(self.queries, size - first),
                side=index % self.run.overlap,
                is_last=first + self.queries >= size,
            )
            for index, (token, kv_head, first) in enumerate(parts)
        ]

    def _pieces(self) -> tuple[Piece, ...]:
        """Return the projection in the order in which it is computed: pieces with keys or values first, key and value in turn.

        Rows are those of all query heads, then keys, then values.
        """
        attention, slices = self.attention, self.run.slices
        query_rows = attention.heads * attention.head_dim
        key_rows = attention.kv_heads * attention.head_dim
        blocks = -(-(query_rows + 2 * key_rows) // slices)
        pieces = self._cut(range(blocks), self.source)
        values = [piece for piece in pieces if piece.holds(slices, query_rows + key_rows, key_rows)]
        keys = [piece for piece in pieces if piece not in values and piece.holds(slices, query_rows, key_rows)]
        queries = [piece for piece in pieces if piece not in values and piece not in keys]
        turns = itertools.zip_longest(keys, values)
        return (*(piece for pair in turns for piece in pair if piece is not None), *queries)

    @property
    def _unit(self) -> int:
        """Row blocks of the least piece, which starts with a header of the stream and a whole result word."""
        return max(WEIGHT_HEADER_BLOCKS, self.run.lanes // self.run.slices)

    def _cut(self, blocks: range, place: Place, alone: tuple[str, ...] = ()) -> list[Piece]:
        """Return row blocks of the projection in pieces, the first of which starts one; results of block 0 go to `place`."""
        slices, lanes = self.run.slices, self.run.lanes
        step = self._unit * -(-len(blocks) // (self._unit * MOST_PIECES))
        return [
            Piece(first=first, blocks=min(step, blocks.stop - first), place=place.at(first * slices // lanes), alone=alone)
            for first in blocks[::step]
        ]

    def complete(self, kv_head: int) -> int:
        """Return the index of the last piece that holds any of a head's key and value."""
        heads, kv_heads = self.attention.heads, self.attention.kv_heads
        regions = {*self._head_regions(heads + kv_head, 1), *self._head_regions(heads + kv_heads + kv_head, 1)}
        return max(index for index, (_, _, region) in enumerate(self._regions) if region in regions)

    def position_values(self, position: int) -> list[Step]:
        """Return the steps that set the registers of a position, from the run's first and, for later ones, the slot before."""
        sinks, window, start = self.attention.sinks, self.attention.window, self.run.memory.cache.ring_start
        slot, valid_sinks, valid_ring = token_registers(position)
        steps = [add(valid_sinks, REGISTER_POSITION, position + 1)]
        if position == 0:
            steps.append(add(slot, REGISTER_SLOT, 0))
        else:
            steps.append(add(slot, token_registers(position - 1)[0], 1))
            if sinks:
                steps.append(scalar(Function.WRAP, slot, slot, start, limit=sinks))
            steps.append(scalar(Function.WRAP, slot, slot, start, limit=start + window))
        return [
            *steps,
            scalar(Function.SUB, valid_ring, valid_sinks, sinks),
            scalar(Function.MAX, valid_ring, valid_ring, 0),
            scalar(Function.MIN, valid_ring, valid_ring, window),
            scalar(Function.MIN, valid_sinks, valid_sinks, sinks),
        ]

    def ring_extent(self) -> list[Step]:
        """Return the steps that set the extent of the ring for the run's last position."""
        words, slices, lanes = self.run.memory.cache.words, self.run.slices, self.run.lanes
        align = max(slices, lanes)
        return [
            add(BLOCKS, REGISTER_POSITION, self.run.positions - self.attention.sinks),
            scalar(Function.MAX, BLOCKS, BLOCKS, 0),
            scalar(Function.MIN, BLOCKS, BLOCKS, self.attention.window),
            add(BLOCKS, BLOCKS, align - 1),
            scalar(Function.SHR, BLOCKS, BLOCKS, align.bit_length() - 1),
            scalar(Function.MUL, SCORE_WORDS, BLOCKS, align // lanes),
            scalar(Function.MUL, VALUE_BEATS, BLOCKS, align * words // slices),
            scalar(Function.MUL, BLOCKS, BLOCKS, align // slices),
            scalar(Function.MUL, KEY_BEATS, BLOCKS, words),
            add(SCRATCH, BLOCKS, 1),
            scalar(Function.SHR, SCRATCH, SCRATCH, 1),
            scalar(Function.ADD, KEY_BEATS, KEY_BEATS, 0, b=SCRATCH),
        ]

    def _head_source(self, token: int, head: int) -> int:
        return self.source.start + token * self.source.stride + head * self.words

    def _regions_of(self, first: int, count: int) -> tuple[str, ...]:
        """Return the regions of the projection that hold heads first .. first + count - 1, keys and values counted on."""
        start, stop = first * self.attention.head_dim, (first + count) * self.attention.head_dim
        return tuple(region for low, high, region in self._regions if low < stop and start < high)

    def _cache_region(self, token: int, kv_head: int) -> str:
        """Return the region of the cache that a token's sequence has for a head."""
        return f"cache.{self.run.sequence_of(token)}.{kv_head}"

    def _cache_of(self, group: HeadGroup) -> tuple[str, ...]:
        return (self._cache_region(group.token, group.kv_head),)

    def prepare(self, group: HeadGroup) -> list[Step]:
        """Return the steps that rotate and quantize a group's queries."""
        words = self.words
        steps: list[Step] = []
        mantissa, exponent = score_scale(self.attention.head_dim)
        own = self.rotation + 2 * self.run.position_of(group.token) * words
        queries = [(self.ring_queries[group.side], own)]
        if self.attention.sinks:
            queries.append((self.sink_queries[group.side], own + words))
        reads = (*self._head_regions(group.first, group.count), "rotation")
        for place, rotation in queries:
            rope = Rope(
                rows=group.count,
                source=self._head_source(group.token, group.first),
                stride=self.apart,
                length=words,
                destination=place.start,
                scale=place.scale,
                parameter=rotation,
                mantissa=mantissa,
                exponent=exponent,
            )
            steps.append(Step(rope, self.node, reads=reads, writes=(place.region,)))
        return steps

    def append(self, token: int, kv_head: int) -> list[Step]:
        """Return the steps that bring a token's key and value of one head into the cache."""
        attention, memory, words = self.attention, self.run.memory, self.words
        position, sequence = self.run.position_of(token), self.run.sequence_of(token)
        slot, _, _ = token_registers(position)
        keys = memory.cache_start + memory.key_start(kv_head, sequence)
        values = memory.cache_start + memory.value_start(kv_head, sequence)
        turn = kv_head * self.run.sequences + sequence + position * attention.kv_heads
        steps: list[Step] = []
        parts = ((CacheKind.KEY, keys, attention.heads), (CacheKind.VALUE, values, attention.heads + attention.kv_heads))
        for kind, offset, first in parts:
            entry = (2 * turn + kind) % PACK_ENTRIES
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
            steps.append(Step(quantize, self.node, reads=reads, writes=(pack,)))
            steps.append(Step(append, self.node, reads=(pack,), writes=(self._cache_region(token, kv_head),)))
        return steps

    def _fetch(self, group: HeadGroup, start: int, beats: int, register: int) -> Step:
        fetch = Fetch(offset=self.run.memory.cache_start + start, beats=beats, registers=(CACHE, register, 0))
        return Step(fetch, self.node, awaits=self._cache_of(group))

    def score(self, group: HeadGroup) -> list[Step]:
        """Return the steps that score a group over its head's keys."""
        memory, cache, slices = self.run.memory, self.run.memory.cache, self.run.slices
        keys = memory.key_start(group.kv_head, self.run.sequence_of(group.token))
        # The ring's scores follow the first words of the sinks': what the sinks' last block holds beyond them is overwritten.
        sink_words = cache.sink_tokens // self.run.lanes
        scores, parameters = self.scores[group.side], self.value_parameters[group.side]
        steps: list[Step] = []
        parts = [(self.ring_queries[group.side], cache.ring_start, 0, 0, KEY_BEATS, BLOCKS, sink_words)]
        if cache.sinks:
            beats, blocks = cache.key_run_beats(cache.sink_slots), cache.sink_slots // slices
            parts.insert(0, (self.sink_queries[group.side], 0, beats, blocks, 0, 0, 0))
        for queries, slot, beats, blocks, beat_register, block_register, word in parts:
            steps.append(self._fetch(group, keys + cache.key_offset(slot), beats, beat_register))
            dot = Dot(
                format=cache.format.keys,
                rows=group.count,
                source=queries.start,
                inner=cache.head_dim // 32,
                blocks=blocks,
                scale=queries.scale,
                address=scores.start + word,
                stride=scores.stride,
                side=parameters.start + word,
                registers=(block_register, 0, 0),
            )
            writes = (scores.region, parameters.region)
            steps.append(Step(dot, self.node, reads=(queries.region,), writes=writes, frees=self._cache_of(group), consumes=1))
        return steps

    def weigh(self, group: HeadGroup) -> list[Step]:
        """Return the steps that make coefficients of a group's scores."""
        cache = self.run.memory.cache
        _, sinks, ring = token_registers(self.run.position_of(group.token))
        scores, parameters = self.scores[group.side], self.value_parameters[group.side]
        coefficients = self.coefficients[group.side]
        softmax = Softmax(
            rows=group.count,
            source=scores.start,
            stride=scores.stride,
            destination=coefficients.start,
            scale=coefficients.scale,
            side=parameters.start,
            sink_words=cache.sink_tokens // self.run.lanes,
            sinks=0,
            ring_words=0,
            ring=0,
            registers=(sinks, SCORE_WORDS, ring),
        )
        reads = (scores.region, parameters.region)
        return [Step(softmax, self.node, reads=reads, writes=(coefficients.region,))]

    def mix(self, group: HeadGroup) -> list[Step]:
        """Return the steps that sum a group's values by their coefficients."""
        memory, cache, words = self.run.memory, self.run.memory.cache, self.words
        values = memory.value_start(group.kv_head, self.run.sequence_of(group.token))
        coefficients = self.coefficients[group.side]
        sink_beats = cache.value_offset(cache.sink_tokens)
        steps = [self._fetch(group, values, sink_beats, 0)] if sink_beats else []
        steps.append(self._fetch(group, values + cache.value_offset(cache.ring_start), 0, VALUE_BEATS))
        axpy = Axpy(
            rows=group.count,
            source=coefficients.start,
            beats=sink_beats,
            segments=cache.words.bit_length() - 1,
            scale=coefficients.scale,
            address=self.result.start + group.token * self.result.stride + group.first * words,
            stride=words,
            cache=cache.format,
            registers=(VALUE_BEATS, 0, 0),
        )
        reads, writes = (coefficients.region,), (self.result.region,)
        return [*steps, Step(axpy, self.node, reads=reads, writes=writes, frees=self._cache_of(group), consumes=len(steps))]
