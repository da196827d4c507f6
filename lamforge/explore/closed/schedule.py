"""The cycles of a decoded token: its program's schedule in max-plus algebra, one layer for all, between a prologue and the head.

A layer begins when the last product of the one before has retired, for which every unit but FETCH waits, so all layers take the
same time. Inside, instructions follow one another as compiler/lower orders them, each when its unit is free, its tokens are there
and control has dispatched it. Runs of like instructions (the pieces of queries, the appends of a piece, groups of heads beyond the
first few, chunks of the head) are taken together: each lasts as long as the one before it did.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from compiler.lower.heads import PACK_ENTRIES
from compiler.target.step import LOAD_LIMIT
from hwsim.arch.config import drain_words, mixed_words, temporary_words
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS, WEIGHT_HEADER_BLOCKS
from hwsim.arch.timing import CODE_LATENCY, MEASURE_LATENCY, PEAK_LATENCY, REFILL_CYCLES, WRITE_LEAD
from hwsim.memory.sustained import Sustained
from lamforge.explore.candidates import Candidates
from lamforge.explore.closed.sizes import Matrix, Sizes, ceil_div
from lamforge.explore.closed.units import LONG_AGO, WRITTEN, MatrixUnit, Passes, VectorUnit, Work, chosen, dot_work, passes

__all__ = ["FOLLOWED", "PACED", "Spent", "Token", "demands_of", "followed_groups"]

_NEXT = 1
"""Cycles from a dispatch, a release or a retirement to the first issue that it allows."""
FOLLOWED = 14
"""Groups of heads that are followed one by one where a layer has many more."""
_STEADY = 4
"""Groups, at least, over which their steady time is measured: all parts of a KV head are among them."""
_STEADY_CHUNKS = 5
"""Chunks of the head that are followed one by one; their steady time is that of the last two."""


def followed_groups(sizes: Sizes) -> np.ndarray:
    """Return how many groups of a layer are followed one by one; those left out are whole KV heads."""
    groups, parts = sizes.attention.groups, sizes.attention.parts
    left_out = np.maximum(groups - FOLLOWED, 0) // parts * parts
    return np.where(groups > FOLLOWED + 2 * _STEADY, groups - left_out, groups)


PACED = ("qkv", "o", "down", "head", "full", "last", "sum")
"""What the memory may slow down: products by their matrix (that of gate and up is as `qkv`), scores of full groups, scores of the
last group of a KV head, and sums."""


def demands_of(c: Candidates, z: Sizes) -> np.ndarray:
    """Return the beats a cycle that each of `PACED` would pop if they were always there, [paced, candidates]."""
    a, drain = z.attention, drain_words(z.slices, c.lanes)
    last = a.group_size - (a.parts - 1) * a.queries
    weights = ((z.qkv, c.batch), (z.o, c.batch), (z.down, c.batch), (z.head, z.final_rows))
    products = [each.body / np.maximum(each.block_cycles, drain * rows) for each, rows in weights]
    scores = [a.key_body / np.maximum(a.key_body, drain * rows) for rows in (a.queries, last)]
    return np.stack([*products, *scores, np.ones(len(c.batch))])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Spent:
    """Cycles of a part of the program, and those in which the matrix unit is at work in it; arrays [candidates]."""

    cycles: np.ndarray
    busy: np.ndarray


class Token:
    """The program of candidates that have the same overlap, with or without sinks, most followed groups first.

    Cycles of a part count from the retirement of the matrix instruction before it.
    """

    def __init__(self, candidates: Candidates, sizes: Sizes, rates: Sustained, slowing: np.ndarray, followed: np.ndarray):
        c, self.count = candidates, len(candidates.batch)
        self.candidates, self.sizes, self.rates, self.followed = candidates, sizes, rates, followed
        self.overlap = int(sizes.attention.overlap[0])
        self.has_sinks = bool(sizes.attention.has_sinks[0])
        self.drain = drain_words(sizes.slices, c.lanes)
        self.temporary = temporary_words(c.result_words)
        self.matrix = MatrixUnit.at_rest(rates.period, self._ahead(c.fifo_beats))
        self.slowing = dict(zip(PACED, slowing, strict=True))
        self.vector = VectorUnit.at_rest(self.count)
        # Cycles in which control executed its last instruction, the mover was released, and its last write was answered.
        self.control, self.mover, self.answered = (np.full(self.count, LONG_AGO) for _ in range(3))

    # What instructions take.

    def _product(self, matrix: Matrix, blocks: np.ndarray, rows: np.ndarray, name: str) -> Work:
        drain = self.drain * rows
        return dot_work(blocks, matrix.body, matrix.block_cycles, WEIGHT_HEADER_BLOCKS, drain, self.slowing[name])

    def _scores(self, blocks: np.ndarray, rows: np.ndarray, name: str) -> Work:
        body = self.sizes.attention.key_body
        return dot_work(blocks, body, body, KEY_HEADER_BLOCKS, self.drain * rows, self.slowing[name])

    def _coding(self, rows: np.ndarray, words: np.ndarray, more: int = 0) -> Passes:
        return passes(rows, words, words + more, self.temporary)

    def _load(self, beats: np.ndarray) -> np.ndarray:
        """Return the cycles from the issue of loads of so many side beats to the issue of what follows them."""
        return beats + ceil_div(beats, LOAD_LIMIT) * (self.rates.side_read + _NEXT + 1)

    @property
    def _fetched(self) -> np.ndarray:
        """Cycle of the first pop of what is fetched next, without a token to wait for."""
        return self.control + _NEXT + self.rates.first

    def _ahead(self, beats: np.ndarray) -> np.ndarray:
        """Return the cycles that a memory is ahead which has brought `beats`, or a full FIFO, before they are popped."""
        return np.minimum(beats, self.candidates.fifo_beats) * self.rates.period - self.rates.loop

    def _queued(self, beats: np.ndarray) -> np.ndarray:
        """Return the cycles that the memory is ahead where an instruction of the matrix unit pops `beats`.

        A fetch is dispatched behind the instruction before its own, when the queue of the matrix unit has room for that one.
        """
        return self._ahead(beats * (self.candidates.queue_depth + 1))

    # The program: prologue, layer, head.

    def prologue(self) -> Spent:
        """Return the part up to the first layer: the program is read, then input, rotations, zeros and parameters are loaded."""
        c, z = self.candidates, self.sizes
        rotations = self._load(z.rotation_beats) * (2 if self.has_sinks else 1)
        zeros = self._load(c.batch * z.norms.zero_beats)
        loads = c.batch * self._load(z.input_beats) + rotations + zeros + self._load(z.first_load_beats)
        # A product of nothing is the barrier: one cycle to capture, one of drain.
        cycles = z.program + self.rates.side_read - 1 + REFILL_CYCLES + loads + _NEXT + 2 + WRITTEN
        return Spent(cycles=cycles, busy=np.zeros(self.count))

    def layer(self) -> Spent:
        """Return one layer."""
        c, z = self.candidates, self.sizes
        norm = self._coding(c.batch, c.hidden // c.lanes, 1)
        start = np.zeros(self.count)
        codes = self.vector.run(norm, start + _NEXT)
        self._project(codes)
        zeros = np.maximum(np.maximum(self.answered, self.control), self.mover) + self._load(c.batch * z.norms.zero_beats)
        loaded = zeros + self._load(z.load_beats)
        mixed = self._attend()
        self.matrix.ahead = self._ahead(c.fifo_beats)
        codes = self.vector.run(self._coding(c.batch, c.heads * c.head_dim // c.lanes), mixed + _NEXT)
        # The zeros for queries and keys that are normalized go to the memory that the product adds to.
        codes = np.where(z.norms.zero_beats > 0, np.maximum(codes, zeros), codes)
        added = self.matrix.run(self._product(z.o, z.o.blocks, c.batch, "o"), codes + _NEXT, self._fetched)
        codes = self.vector.run(norm, np.maximum(added, loaded) + _NEXT)
        gated = self.matrix.run(self._product(z.gateup, z.gateup.blocks, c.batch, "qkv"), codes + _NEXT, self._fetched)
        codes = self.vector.run(self._coding(c.batch, c.ffn // c.lanes), gated + _NEXT)
        end = self.matrix.run(self._product(z.down, z.down.blocks, c.batch, "down"), codes + _NEXT, self._fetched)
        normalized = self._normalize()
        return Spent(cycles=end + normalized.cycles, busy=self.matrix.busy + normalized.busy)

    def _normalize(self) -> Spent:
        """Return what the normalization of heads adds to a layer: the first group, the others by their slowest part, and appends.

        Groups wait for those as many before as there are places for. Keys and values are appended behind the last one.
        """
        c, z, norms = self.candidates, self.sizes, self.sizes.norms
        words, rows, groups = z.attention.head_words, norms.most, c.batch * norms.groups
        again = norms.again_beats * self.rates.period
        product = norms.identity.beats + self.drain * rows
        coding = rows * (words + 1)
        coded = coding + MEASURE_LATENCY + words + CODE_LATENCY + _NEXT
        restored = product + WRITTEN + _NEXT
        period = np.maximum(np.maximum(coding, product), (coded + restored) / self.overlap)
        first = 2 * words + MEASURE_LATENCY + CODE_LATENCY + self._append_cycles + self.rates.side_answer
        cycles = np.where(groups > 0, coded + groups * period + WRITTEN + first + again, 0)
        return Spent(cycles=cycles, busy=groups * norms.identity.beats + again)

    def head(self) -> Spent:
        """Return the part after the layers, up to the end of the run."""
        c, z, matrix = self.candidates, self.sizes, self.matrix
        matrix.rest()
        self.vector = VectorUnit.at_rest(self.count)
        self.mover, self.answered = np.full(self.count, LONG_AGO), np.full(self.count, LONG_AGO)
        ready = np.zeros(self.count)
        for index in range(int(z.passes.max())):
            rows = np.clip(c.batch - index * z.final_rows, 1, z.final_rows)
            is_run = index < z.passes
            before = matrix.state.copy(), self.mover, self.answered
            ready = self._pass(rows, ready)
            matrix.keep(is_run, before[0])
            self.mover, self.answered = np.where(is_run, self.mover, before[1]), np.where(is_run, self.answered, before[2])
        # The end executes after the last retirement, and its cycle counts too.
        return Spent(cycles=self.answered + 2, busy=matrix.busy.copy())

    # The projection, with appends between its pieces.

    def _project(self, codes: np.ndarray) -> None:
        """Run the pieces with keys and values and what is appended after each, then the pieces of queries."""
        c, z, matrix = self.candidates, self.sizes, self.matrix
        of_cache = z.key_pieces + z.value_pieces
        pieces = of_cache + z.query_pieces
        whole = self._product(z.qkv, z.piece_blocks, c.batch, "qkv")
        short = self._product(z.qkv, z.qkv.blocks - (pieces - 1) * z.piece_blocks, c.batch, "qkv")
        # Where the last piece of the matrix, which may be a short one, comes in the order of the schedule.
        last = z.value_pieces - 1 + np.minimum(z.value_pieces, z.key_pieces)
        matrix.ahead = self._queued(whole.beats)
        self._begin_appends()
        before = retired = np.full(self.count, LONG_AGO)
        done = np.zeros(self.count)
        for piece in range(int(of_cache.max()) + 1):
            # The first piece of queries is one of these: the last appends come after it.
            is_run = (piece <= of_cache) & (piece < pieces)
            state = matrix.state.copy()
            work = Work(**chosen(piece == last, short, whole))
            now = matrix.run(work, np.maximum(codes, self.control) + _NEXT, self._fetched)
            matrix.keep(is_run, state)
            if piece:
                heads = np.where(piece <= of_cache, self._heads_in(piece), done)
                self._append(done, (heads - done) * c.batch, before, retired)
                done = heads
            before, retired = retired, np.where(is_run, now, retired)
        # When the first value of each run of appends was answered, and its head, [runs, candidates].
        self._answers, self._answered_heads = np.stack(self._appended), np.stack(self._appended_from)
        self._query_pieces(whole, codes)

    def _query_pieces(self, whole: Work, codes: np.ndarray) -> None:
        """Run the pieces of queries but the first, one behind the other."""
        z, matrix = self.sizes, self.matrix
        more = np.maximum(z.query_pieces - 1, 0)
        self._first_queries, state = matrix.free.copy(), matrix.state.copy()
        self._piece_cycles = np.maximum(whole.first + 1, whole.drain) + whole.rest
        rest = whole.rest + (more - 1) * self._piece_cycles
        work = Work(beats=more * whole.beats, first=whole.first, rest=rest, drain=whole.drain)
        matrix.run(work, np.maximum(codes, self.control) + _NEXT, self._fetched)
        matrix.keep(more > 0, state)
        self._last_queries = matrix.free.copy()
        self._query_latency = whole.drain + WRITTEN
        # What follows is dispatched when the queue of the matrix unit has taken all pieces.
        depth = self.candidates.queue_depth
        held = self._last_queries - depth * self._piece_cycles
        self.control = np.where(depth < more, np.maximum(self.control, held), self.control)

    def _queried(self, index: np.ndarray) -> np.ndarray:
        """Return when the queries of groups `index` retire."""
        count, z = len(index), self.sizes
        a, head_dim, kv_heads = z.attention.head(count), self.candidates.head_dim[:count], self.candidates.kv_heads[:count]
        pair, part = np.divmod(index, a.parts)
        query = pair % kv_heads * a.group_size + np.minimum((part + 1) * a.queries, a.group_size)
        piece = (query * head_dim - 1) // (z.piece_blocks * z.slices)[:count]
        pieces = z.query_pieces[:count]
        later = self._last_queries[:count] - (pieces - 1 - piece) * self._piece_cycles[:count]
        # Queries that share a piece with keys are there before.
        ended = np.where(piece < 1, self._first_queries[:count], np.where(piece < pieces, later, LONG_AGO))
        return ended + self._query_latency[:count]

    # Keys and values of the new token.

    def _heads_in(self, pieces: int) -> np.ndarray:
        """Return how many heads have all of their key and value in the first `pieces` pieces, key and value pieces in turn."""
        c, z = self.candidates, self.sizes
        keys = np.minimum(z.key_pieces, np.maximum(ceil_div(np.array(pieces), 2), pieces - z.value_pieces))
        values = pieces - keys
        rows = z.piece_blocks * z.slices
        query_rows, key_rows = c.heads * c.head_dim, c.kv_heads * c.head_dim
        # The first piece with values may hold the last keys.
        are_all = (keys == z.key_pieces) & (values > 0)
        key_known = np.where(are_all, key_rows, (z.query_pieces + keys) * rows - query_rows)
        value_known = np.where(values > 0, (z.query_pieces + z.key_pieces + values) * rows - query_rows - key_rows, 0)
        return np.clip(np.minimum(key_known, value_known) // c.head_dim, 0, c.kv_heads)

    def _begin_appends(self) -> None:
        """Set the times of a key or value: quantized, appended, answered, and from one to the next."""
        a, rates = self.sizes.attention, self.rates
        self._quantize_period = np.maximum(a.head_words, 2)
        # A beat a word and one for the header.
        self._append_cycles = a.words + 1 + WRITE_LEAD + _NEXT
        quantized = 2 * a.head_words + 1 + MEASURE_LATENCY + CODE_LATENCY
        # An entry of the pack buffer is free again when its append is answered.
        around = (quantized + self._append_cycles + rates.side_answer + 2 * _NEXT) / PACK_ENTRIES
        answers = (a.words + 1) * rates.scattered
        slower = np.maximum(around, answers)
        self._append_period = np.maximum(np.maximum(self._append_cycles, self._quantize_period), slower)
        self._appended, self._appended_from = [np.full(self.count, LONG_AGO)], [np.zeros(self.count)]
        self._backlog = np.zeros(self.count)

    def _append(self, head: np.ndarray, pairs: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
        """Append `pairs` keys and values, those of `head` first, of products that retire at `keys` and `values`."""
        v, words, is_any = self.vector, self.sizes.attention.head_words, pairs > 0
        start = np.maximum(np.maximum(np.maximum(keys, self.control) + _NEXT, v.free + 1) + 1, v.first_free)
        key = np.maximum(start + words + MEASURE_LATENCY, v.codes_end) + words + CODE_LATENCY
        second = np.maximum(start + self._quantize_period, np.maximum(values, self.control) + _NEXT + 1)
        value = np.maximum(second + words + MEASURE_LATENCY, v.codes_end + words) + words + CODE_LATENCY
        issue = np.maximum(np.maximum(key, self.mover) + self._append_cycles, value + _NEXT)
        last = issue + (2 * pairs - 2) * self._append_period
        is_idle = key >= self.mover
        backlog = np.where(is_idle, 0, self._backlog) + 2 * pairs
        answer = self._append_cycles + self.rates.side_answer
        # The last of them takes the entry of the pack buffer that an append so many before has read.
        entry = last - PACK_ENTRIES * self._append_period + answer + _NEXT + 1
        last_start = second + (2 * pairs - 2) * self._quantize_period
        last_start = np.maximum(last_start, np.where(backlog > PACK_ENTRIES, entry, LONG_AGO))
        coded = last_start + 2 * words + MEASURE_LATENCY
        state = v.state.copy()
        v.keep_row(last_start + np.maximum(words - 2, 0), last_start + words, coded, 2 * pairs, self._quantize_period)
        v.keep(is_any, state)
        self._backlog = np.where(is_any, backlog, self._backlog)
        self.mover = np.where(is_any, last + self._append_cycles - _NEXT, self.mover)
        self.answered = np.where(is_any, last + answer, self.answered)
        self._appended.append(np.where(is_any, issue + answer, self._appended[-1]))
        self._appended_from.append(np.where(is_any, head, self._appended_from[-1]))
        # Control waits where the queue of the mover or of the vector unit is full.
        depth = self.candidates.queue_depth
        held = np.where(self._backlog > depth, last - depth * self._append_period, LONG_AGO)
        full = np.where(2 * pairs > depth, last_start - 1 - depth * self._quantize_period, LONG_AGO)
        self.control = np.where(is_any, np.maximum(self.control, np.maximum(held, full)), self.control)

    def _in_cache(self, index: np.ndarray) -> np.ndarray:
        """Return when the key and value of the token of groups `index` are answered."""
        count, c, z = len(index), self.candidates, self.sizes
        pair = index // z.attention.parts[:count]
        token, head = np.divmod(pair, c.kv_heads[:count])
        rows, first = (z.piece_blocks * z.slices)[:count], z.query_pieces[:count]
        end = (c.heads[:count] + head + 1) * c.head_dim[:count] - 1
        key_pieces, value_pieces = z.key_pieces[:count], z.value_pieces[:count]
        key, value = end // rows - first, (end + (c.kv_heads * c.head_dim)[:count]) // rows - first - key_pieces
        key_at = np.where(key < key_pieces, key + np.minimum(key, value_pieces), np.minimum(1, key_pieces))
        at = np.maximum(key_at, value + np.minimum(value + 1, key_pieces)) + 1
        places = np.clip(at, 0, len(self._answers) - 1), np.arange(count)
        answered, head_before = self._answers[places], self._answered_heads[places]
        return answered + ((head - head_before) * c.batch[:count] + token) * 2 * self._append_period[:count]

    # Attention, several groups in flight.

    def _attend(self) -> np.ndarray:
        """Return when the last sum of the layer's groups retires."""
        most, self._steps = int(self.followed.max()), self._group_work()
        sinks, ring, mix = self._steps[0][:3]
        beats = ring.beats + mix.beats
        self.matrix.ahead = self._queued((beats + sinks.beats) / 3 if self.has_sinks else beats / 2)
        left_out, n = self.sizes.attention.groups - self.followed, self.count
        self._left_out = left_out
        # When the queries, scores, coefficients and sums of the groups that are followed retire.
        self._asked, self._scored, self._weighed, self._mixed = (np.full((most, n), LONG_AGO) for _ in range(4))
        active = [int(np.searchsorted(-self.followed, -group)) for group in range(most + 1)]
        ends: list[np.ndarray] = []
        jump_at = FOLLOWED - self.overlap
        for group in range(1 - self.overlap, most):
            ahead = group + self.overlap - 1
            if ahead < most:
                self._ask(ahead, active[ahead])
            if group < 0:
                continue
            count = active[group]
            self._score(group, count)
            if group >= 1:
                self._weigh(group - 1, count)
            if group >= self.overlap - 1:
                self._mix(group - self.overlap + 1, count)
            ends.append(self.matrix.state.copy())
            if group == jump_at and active[min(FOLLOWED - 1, most)]:
                self._jump(ends)
        return self._finish()

    def _group_work(self) -> tuple[tuple[Work, Work, Work, Passes, Passes], ...]:
        """Return scores of sinks, scores of the ring, sums, queries and coefficients, of full groups and of a head's last."""
        c, a = self.candidates, self.sizes.attention
        sums = a.sink_value_beats + a.ring_value_beats
        work = []
        for rows, name in ((a.queries, "full"), (a.group_size - (a.parts - 1) * a.queries, "last")):
            sinks, ring = self._scores(np.maximum(a.sink_blocks, 1), rows, name), self._scores(a.ring_blocks, rows, name)
            drain = mixed_words(c.lanes) * rows
            mix = Work(beats=sums, first=sums * self.slowing["sum"], rest=np.zeros(self.count), drain=drain)
            weigh = passes(rows, a.score_words, 2 * a.score_words + PEAK_LATENCY, self.temporary)
            work.append((sinks, ring, mix, self._coding(rows, a.head_words), weigh))
        self._is_uneven = bool((a.group_size % a.queries).any())
        return tuple(work)

    def _index(self, group: int, count: int) -> np.ndarray:
        """Return the number in the layer of the group that is followed as number `group`."""
        return group + (self._left_out[:count] if group >= FOLLOWED - self.overlap + 1 else np.zeros(count, np.int64))

    def _matrix_work(self, kind: int, index: np.ndarray) -> Work:
        full, last = self._steps[0][kind], self._steps[1][kind]
        assert isinstance(full, Work) and isinstance(last, Work)
        return Work(**chosen(self._is_last(index), last, full)) if self._is_uneven else full.head(len(index))

    def _vector_work(self, kind: int, index: np.ndarray) -> Passes:
        full, last = self._steps[0][kind], self._steps[1][kind]
        assert isinstance(full, Passes) and isinstance(last, Passes)
        return Passes(**chosen(self._is_last(index), last, full)) if self._is_uneven else full.head(len(index))

    def _is_last(self, index: np.ndarray) -> np.ndarray:
        parts = self.sizes.attention.parts[: len(index)]
        return index % parts == parts - 1

    def _ask(self, group: int, count: int) -> None:
        """Rotate and quantize queries, whose place the scores of an earlier group have read."""
        index, vector = self._index(group, count), self.vector.head(count)
        ready = self._queried(index)
        if group >= self.overlap:
            ready = np.maximum(ready, self._scored[group - self.overlap, :count])
        work = self._vector_work(3, index)
        for _ in range(2 if self.has_sinks else 1):
            self._asked[group, :count] = vector.run(work, ready + _NEXT)

    def _score(self, group: int, count: int) -> None:
        """Score the sinks and the ring, when the token is in the cache and the place of the scores has been read."""
        index, matrix = self._index(group, count), self.matrix.head(count)
        there = np.maximum(self._in_cache(index), self.control[:count]) + _NEXT + self.rates.first[:count]
        ready = self._asked[group, :count]
        if group >= self.overlap:
            ready = np.maximum(ready, self._weighed[group - self.overlap, :count])
        if self.has_sinks:
            matrix.run(self._matrix_work(0, index), ready + _NEXT, there)
        self._scored[group, :count] = matrix.run(self._matrix_work(1, index), ready + _NEXT, there)

    def _weigh(self, group: int, count: int) -> None:
        """Make coefficients of scores, when the place of the coefficients has been read."""
        ready = self._scored[group, :count]
        if group >= self.overlap:
            ready = np.maximum(ready, self._mixed[group - self.overlap, :count])
        work = self._vector_work(4, self._index(group, count))
        self._weighed[group, :count] = self.vector.head(count).run(work, ready + _NEXT)

    def _mix(self, group: int, count: int) -> None:
        """Sum values by their coefficients."""
        work = self._matrix_work(2, self._index(group, count))
        ready = self._weighed[group, :count] + _NEXT
        self._mixed[group, :count] = self.matrix.head(count).run(work, ready, self._fetched[:count], is_sum=True)

    def _jump(self, ends: list[np.ndarray]) -> None:
        """Let the groups that are not followed pass, each as long as the last few were on average, or as their beats come."""
        matrix, parts = self.matrix, self.sizes.attention.parts
        few = parts * ceil_div(np.full(self.count, _STEADY), parts)
        before = np.maximum(len(ends) - 1 - few, 0)
        last, every = np.stack(ends), np.arange(self.count)
        free, _, clock, busy = (last[-1] - last[before, :, every].T) * (self._left_out / few)
        # A memory that is slower than the groups were may have been ahead of them so far.
        late = np.maximum(matrix.clock + clock - (matrix.free + free), 0)
        self.vector.pass_time(free + late)
        for state in (matrix.state[:2], self._asked, self._scored, self._weighed, self._mixed):
            state += free + late
        matrix.clock += clock
        matrix.busy += busy + late

    def _finish(self) -> np.ndarray:
        """Mix what is in flight when the last group has been scored, which is weighed last; return when the last sum retires."""
        retired, every = np.full(self.count, LONG_AGO), np.arange(self.count)
        for back in range(self.overlap - 1, 0, -1):
            group = np.maximum(self.followed - back, 0)
            is_any = self.followed >= back
            index = group + np.where(group >= FOLLOWED - self.overlap + 1, self._left_out, 0)
            if back == 1:
                weighed = self.vector.run(self._vector_work(4, index), self._scored[group, every] + _NEXT)
            else:
                weighed = self._weighed[group, every]
            state = self.matrix.state.copy()
            retired = self.matrix.run(self._matrix_work(2, index), weighed + _NEXT, self._fetched, is_sum=True)
            self.matrix.keep(is_any, state)
        return retired

    # The head, in chunks of which one is stored while the next is computed.

    def _pass(self, rows: np.ndarray, ready: np.ndarray) -> np.ndarray:
        """Run the head for some rows; return when its last product retires, before which no codes of other rows come."""
        c, z, matrix = self.candidates, self.sizes, self.matrix
        codes = self.vector.run(self._coding(rows, c.hidden // c.lanes, 1), ready + _NEXT)
        last_blocks = z.head.blocks - (z.chunks - 1) * z.chunk_blocks
        whole, short = self._product(z.head, z.chunk_blocks, rows, "head"), self._product(z.head, last_blocks, rows, "head")
        # When the chunk before the last one, and the last one, are stored: those of other rows, to begin with.
        stored = [self.answered] * 2
        ends: list[np.ndarray] = []
        arrival = np.full(self.count, LONG_AGO)
        for chunk in range(min(_STEADY_CHUNKS, int(z.chunks.max()) - 1)):
            is_run, state = chunk < z.chunks - 1, matrix.state.copy()
            end = matrix.run(whole, np.maximum(codes, stored[0]) + _NEXT, arrival)
            matrix.keep(is_run, state)
            self._store(end, z.chunk_blocks * z.slices // 4, rows, is_run)
            stored = [stored[1], np.where(is_run, self.answered, stored[1])]
            ends.append(np.stack([*matrix.state, self.mover]))
        more = np.maximum(z.chunks - 1 - _STEADY_CHUNKS, 0)
        if more.any():
            change = (ends[-1] - ends[-3]) * more / 2
            shift = np.maximum(change[0], change[-1])
            matrix.state[:3] += shift
            matrix.busy += change[3]
            self.mover, self.answered, stored = self.mover + shift, self.answered + shift, [each + shift for each in stored]
        end = matrix.run(short, np.maximum(codes, stored[0]) + _NEXT, arrival)
        self._store(end, ceil_div(last_blocks * z.slices, 4), rows, np.ones(self.count, bool))
        return end

    def _store(self, ready: np.ndarray, beats: np.ndarray, rows: np.ndarray, is_run: np.ndarray) -> None:
        """Store the rows of a chunk, one after the other."""
        for row in range(int(rows.max())):
            is_row = is_run & (row < rows)
            release = np.maximum(ready, self.mover) + _NEXT + WRITE_LEAD + beats
            answer = np.maximum(release + self.rates.side_answer, self.answered + beats * self.rates.lined) + 1
            self.mover, self.answered = np.where(is_row, release, self.mover), np.where(is_row, answer, self.answered)
