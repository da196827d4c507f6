"""The time of a decoded token: one layer of its program in max-plus algebra, repeated, between its prologue and the head."""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.config import drain_words, mixed_words, temporary_words
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS, SIZES, WEIGHT_HEADER_BLOCKS, CacheFormat
from hwsim.arch.timing import (
    CODE_LATENCY,
    EPILOGUE_LATENCY,
    FIFO_LATENCY,
    MATRIX_LATENCY,
    MEASURE_LATENCY,
    PEAK_LATENCY,
    READ_LATENCY,
    REFILL_CYCLES,
    SIDE_BURST_BEATS,
    WRITE_LATENCY,
    WRITE_LEAD,
)
from hwsim.memory.sustained import Readers, Sustained, sustained
from lamforge.explore.candidates import Candidates
from lamforge.explore.closed.sizes import Matrix, Sizes, ceil_div
from lamforge.explore.closed.units import LONG_AGO, MatrixUnit, Passes, VectorUnit, Work, dot_work, passes

__all__ = ["cycles_of"]

_ISSUE = 1
"""Cycles from a dispatch, a retirement or a release to the first issue that it allows."""
_PACK_ENTRIES = 8


class _Token:
    """A run of candidates whose overlap and sinks are alike, sorted by the groups that are followed one by one, most first."""

    def __init__(self, c: Candidates, z: Sizes, rates: Sustained, overlap: int, has_sinks: bool):
        self.c, self.z, self.rates, self.overlap, self.has_sinks = c, z, rates, overlap, has_sinks
        self.n = len(c.batch)
        self.drain = drain_words(z.slices, c.lanes)
        self.temporary = temporary_words(c.result_words)
        self.matrix = MatrixUnit(*(np.full(self.n, LONG_AGO) for _ in range(3)), rates.period, c.fifo_beats * rates.period - rates.loop)
        self.vector = VectorUnit(*(np.full(self.n, LONG_AGO) for _ in range(3)))
        self.control = np.full(self.n, LONG_AGO)
        self.mover = np.full(self.n, LONG_AGO)
        self.answered = np.full(self.n, LONG_AGO)

    def _weights(self, matrix: Matrix, blocks: np.ndarray, rows: np.ndarray) -> Work:
        return self._dot(blocks, matrix.body, matrix.block_cycles, WEIGHT_HEADER_BLOCKS, self.drain * rows)

    def _dot(self, blocks: np.ndarray, body: np.ndarray, cycles: np.ndarray, header_blocks: int, drain: np.ndarray) -> Work:
        return dot_work(blocks, body, cycles, header_blocks, drain, self.rates.slowing(body / np.maximum(cycles, drain)))

    def _vector(self, rows: np.ndarray, words: np.ndarray, extra: int = 0) -> Passes:
        return passes(rows, words, words + extra, self.temporary)

    def layer(self) -> np.ndarray:
        c, z, a = self.c, self.z, self.z.attention
        batch = c.batch
        norm = self._vector(batch, c.hidden // c.lanes, 1)
        zero = np.zeros(self.n)
        self.matrix.clock[...] = 0
        ready = self.vector.run(norm, zero + _ISSUE) + _ISSUE
        queries_ready = self._project(ready)
        self._load()
        mixed = self._attend(queries_ready)
        codes = self.vector.run(self._vector(batch, c.heads * c.head_dim // c.lanes), mixed + _ISSUE)
        arrival = self.control + _ISSUE + self.rates.first
        added = self.matrix.run(self._weights(z.o, z.o.blocks, batch), codes + _ISSUE, arrival)
        codes = self.vector.run(norm, np.maximum(added, self.loaded) + _ISSUE)
        result = self.matrix.run(self._weights(z.gateup, z.gateup.blocks, batch), codes + _ISSUE, arrival)
        codes = self.vector.run(self._vector(batch, c.ffn // c.lanes), result + _ISSUE)
        return self.matrix.run(self._weights(z.down, z.down.blocks, batch), codes + _ISSUE, arrival)

    # Projection and appends

    def _heads_done(self, pieces: int) -> np.ndarray:
        """Return how many heads have their key and value in the first `pieces` pieces."""
        z, c = self.z, self.c
        keys = np.minimum(z.key_pieces, np.maximum(-(-pieces // 2), pieces - z.value_pieces))
        values = pieces - keys
        rows = z.piece_blocks * z.slices
        query_rows, key_rows = c.heads * c.head_dim, c.kv_heads * c.head_dim
        known = (z.query_pieces + keys) * rows - query_rows
        # The first piece with values may hold the last keys.
        known = np.where((keys == z.key_pieces) & (values > 0), key_rows, known)
        known_values = (z.query_pieces + z.key_pieces + values) * rows - query_rows - key_rows
        known_values = np.where(values > 0, known_values, 0)
        return np.clip(np.minimum(known, known_values) // c.head_dim, 0, c.kv_heads)

    def _project(self, ready: np.ndarray) -> np.ndarray:
        """Run the pieces of the projection and the appends of keys and values between them."""
        c, z, a = self.c, self.z, self.z.attention
        step = z.piece_blocks
        kv_pieces = z.key_pieces + z.value_pieces
        pieces = kv_pieces + z.query_pieces
        partial = z.qkv.blocks - (pieces - 1) * step
        # Where the last piece of the matrix comes in the order of the schedule.
        at = z.value_pieces - 1 + np.minimum(z.value_pieces, z.key_pieces)
        whole = self._weights(z.qkv, step, c.batch)
        short = self._weights(z.qkv, partial, c.batch)
        self._begin_appends()
        most = int(kv_pieces.max())
        matrix = self.matrix
        retired = before = np.full(self.n, LONG_AGO)
        done = np.zeros(self.n)
        last_step = most + 1
        for piece in range(last_step + 1):
            in_matrix = piece < pieces
            in_matrix = in_matrix & (piece <= kv_pieces)
            is_short = piece == at
            work = Work(
                beats=np.where(is_short, short.beats, whole.beats),
                first=whole.first,
                rest=np.where(is_short, short.rest, whole.rest),
                drain=whole.drain,
            )
            kept = (matrix.free.copy(), matrix.capture_from.copy(), matrix.clock.copy())
            arrival = self.control + _ISSUE + self.rates.first
            now = matrix.run(work, np.maximum(ready, self.control + _ISSUE), arrival)
            for array, old in zip((matrix.free, matrix.capture_from, matrix.clock), kept, strict=True):
                array[...] = np.where(in_matrix, array, old)
            if piece > 0:
                count = self._heads_done(piece)
                self._append(piece, done, np.where(piece <= kv_pieces, (count - done), 0) * c.batch, before, retired)
                done = np.where(piece <= kv_pieces, count, done)
            before, retired = retired, np.where(in_matrix, now, retired)
        # The other query pieces.
        others = np.maximum(z.query_pieces - 1, 0)
        each = whole.first + whole.rest
        each = np.maximum(each + 1, whole.drain + whole.rest)
        start = np.maximum(np.maximum(ready, self.control + _ISSUE), matrix.free + 1) + 1
        end = np.maximum(start + whole.first - 1, matrix.capture_from) + whole.rest + (others - 1) * each
        first_end = matrix.free.copy()
        matrix.clock[...] = np.where(
            others > 0, np.maximum(matrix.clock, start - matrix.ahead) + whole.beats * others * matrix.period, matrix.clock
        )
        end = np.maximum(end, matrix.clock)
        matrix.free[...] = np.where(others > 0, end, matrix.free)
        matrix.capture_from[...] = matrix.free + np.where(others > 0, whole.drain, matrix.capture_from - first_end)
        self.query_end, self.query_each = matrix.free.copy(), each
        self.query_first = first_end
        self.others = others
        # The sequencer is held by the queue of the matrix unit.
        queued = np.minimum(c.queue_depth, pieces)
        self.control = np.maximum(self.control, np.where(c.queue_depth < others, end - queued * each, LONG_AGO))
        return retired

    def _query_ready(self, rows: np.ndarray) -> np.ndarray:
        """Return when the first `rows` query rows are there."""
        z = self.z
        piece = (rows - 1) // (z.piece_blocks * z.slices)
        latency = self.matrix.capture_from - self.matrix.free + MATRIX_LATENCY + EPILOGUE_LATENCY
        first = self.query_first
        other = self.query_end - (self.others - piece) * self.query_each
        when = np.where(piece < 1, first, np.where(piece < z.query_pieces, other, LONG_AGO))
        return when + latency[: len(when)]

    def _begin_appends(self) -> None:
        c, a = self.c, self.z.attention
        kept = self.n
        words = a.head_words
        self.kv_period = np.maximum(words, 2)
        self.append_cycles = a.words + 1 + WRITE_LEAD + _ISSUE
        quantized = 2 * words + MEASURE_LATENCY + CODE_LATENCY + 1
        written = self.append_cycles + self.rates.side_answer
        around = (quantized + written + 2) / _PACK_ENTRIES
        self.quantized = quantized
        self.append_period = np.maximum(np.maximum(self.append_cycles, self.kv_period), np.maximum(around, (a.words + 1) * self.rates.scattered))
        self.appended: list[np.ndarray] = [np.full(kept, LONG_AGO)]
        self.appended_from: list[np.ndarray] = [np.zeros(kept)]
        self.backlog = np.zeros(kept)

    def _append(self, piece: int, done: np.ndarray, pairs: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
        """Quantize and append `pairs` keys and values of heads from number `done` on, known when `keys` and `values` retire."""
        c, v = self.c, self.vector
        is_any = pairs > 0
        words, period = self.z.attention.head_words, self.append_period
        issue = np.maximum(np.maximum(keys, self.control) + _ISSUE, v.free + 1)
        start = np.maximum(issue + 1, v.first_free)
        key_done = np.maximum(start + words + MEASURE_LATENCY, v.codes_end) + words + CODE_LATENCY
        second = np.maximum(start + self.kv_period, np.maximum(values, self.control) + 2 * _ISSUE)
        value_done = np.maximum(second + words + MEASURE_LATENCY, v.codes_end + words) + words + CODE_LATENCY
        first_append = np.maximum(key_done, self.mover) + _ISSUE
        first_value = np.maximum(value_done + _ISSUE, first_append + self.append_cycles)
        is_idle = key_done >= self.mover
        last = first_value + (2 * pairs - 2) * period
        last_quantized = second + (2 * pairs - 2) * self.kv_period
        v.first_free[...] = np.where(is_any, last_quantized + words, v.first_free)
        v.free[...] = np.where(is_any, last_quantized + np.maximum(words - 2, 0), v.free)
        v.codes_end[...] = np.where(is_any, last_quantized + 2 * words + MEASURE_LATENCY, v.codes_end)
        release = last + self.append_cycles - _ISSUE
        self.mover = np.where(is_any, release, self.mover)
        answer = release + self.rates.side_answer + 1
        self.answered = np.where(is_any, answer, self.answered)
        self.appended.append(np.where(is_any, first_value + self.append_cycles + self.rates.side_answer, self.appended[-1]))
        self.appended_from.append(np.where(is_any, done, self.appended_from[-1]))
        self.backlog = np.where(is_any, np.where(is_idle, 0, self.backlog) + 2 * pairs, self.backlog)
        depth = c.queue_depth
        held = np.where(self.backlog > depth, last - depth * period, LONG_AGO)
        held = np.maximum(held, np.where(2 * pairs > depth, last_quantized - 1 - depth * self.kv_period, LONG_AGO))
        self.control = np.where(is_any, np.maximum(self.control, held), self.control)

    def _appended(self, head: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Return when the key and value of a token's head are in the cache."""
        z, c = self.z, self.c
        n = len(head)
        rows = (z.piece_blocks * z.slices)[:n]
        query_rows, key_rows = (c.heads * c.head_dim)[:n], (c.kv_heads * c.head_dim)[:n]
        end = query_rows + (head + 1) * c.head_dim[:n] - 1
        kp, vp = z.key_pieces[:n], z.value_pieces[:n]
        key, value = end // rows - z.query_pieces[:n], (end + key_rows) // rows - z.query_pieces[:n] - kp
        key_at = np.where(key < kp, key + np.minimum(key, vp), np.minimum(1, kp))
        value_at = value + np.minimum(value + 1, kp)
        at = np.clip(np.maximum(key_at, value_at) + 1, 0, len(self.appended) - 1)
        places = np.arange(n)
        first, done = np.stack([x[:n] for x in self.appended])[at, places], np.stack([x[:n] for x in self.appended_from])[at, places]
        return first + ((head - done) * c.batch[:n] + token) * 2 * self.append_period[:n]

    def _load(self) -> None:
        """Load the parameters behind the appends, which must have been answered."""
        beats = self.z.load_beats
        count = ceil_div(beats, 63 * 64)
        issue = np.maximum(np.maximum(self.answered, self.control), self.mover) + _ISSUE
        self.loaded = issue + beats + count * (self.rates.side_read + 1) + (count - 1)

    # Attention

    def _attend(self, unused: np.ndarray) -> np.ndarray:
        c, z, a = self.c, self.z, self.z.attention
        n, overlap = self.n, self.overlap
        few = a.parts * np.maximum(1, ceil_div(np.full(n, 4), a.parts))
        followed = self.followed
        skipped = a.groups - followed
        drain = self.drain
        one = np.ones(n)
        key_bodies = [SIZES[format.keys].body_words(c.head_dim) for format in CacheFormat]
        body = np.choose(c.cache_format, key_bodies)
        full, rest = a.queries, a.group_size - (a.parts - 1) * a.queries
        turns = mixed_words(c.lanes)
        value_beats = a.sink_value_beats + a.ring_value_beats
        value_pace = self.rates.slowing(one)
        kinds = []
        for rows in (full, rest):
            score = self._dot(a.ring_blocks, body, body, KEY_HEADER_BLOCKS, drain * rows)
            sink = self._dot(np.maximum(a.sink_blocks, 1), body, body, KEY_HEADER_BLOCKS, drain * rows)
            mix = Work(beats=value_beats, first=value_beats * value_pace, rest=0 * value_beats, drain=turns * rows)
            rope = self._vector(rows, a.head_words)
            soft = passes(rows, a.score_words, 2 * a.score_words + PEAK_LATENCY, self.temporary)
            kinds.append((score, sink, mix, rope, soft))
        uneven = bool((full != rest).any())
        J = self.jump_at
        most = int(followed.max())
        counts = [int(np.searchsorted(-followed, -i, side="left")) for i in range(most + 1)]  # active for group i: followed > i
        asked, dots, softs, mixes = {}, {}, {}, {}
        ends = []
        shift_groups = skipped
        for i in range(1 - overlap, most):
            g = i + overlap - 1
            if g < most and (m := counts[g]):
                index = g + np.where(g >= J, skipped[:m], 0)
                kind = self._kind(kinds, index, m, uneven)
                ready = self._query_ready_head(index, m)
                if g - overlap in dots:
                    ready = np.maximum(ready, dots[g - overlap][:m])
                vector = self.vector.head(m)
                for _ in range(2 if self.has_sinks else 1):
                    asked[g] = vector.run(kind[3], ready + _ISSUE)
                self.control[:m] += 2
            if i < 0:
                continue
            m = counts[i]
            index = i + np.where(i >= J, skipped[:m], 0)
            kind = self._kind(kinds, index, m, uneven)
            matrix, vector = self.matrix.head(m), self.vector.head(m)
            heads = index // a.parts[:m]
            there = self._appended(heads % c.kv_heads[:m], heads // c.kv_heads[:m])
            fetched = np.maximum(there, self.control[:m]) + _ISSUE + self.rates.first[:m]
            ready = asked[i][:m]
            if i - overlap in softs:
                ready = np.maximum(ready, softs[i - overlap][:m])
            if self.has_sinks:
                matrix.run(kind[1], ready + _ISSUE, fetched)
            dots[i] = matrix.run(kind[0], ready + _ISSUE, fetched)
            self.control[:m] += 4
            if i >= 1:
                self._weigh(kinds, i - 1, m, uneven, dots, softs, mixes, skipped, counts)
            if i >= overlap - 1:
                self._mix(kinds, i - overlap + 1, m, uneven, softs, mixes, skipped)
            ends.append(self.matrix.free.copy())
            # Those whose last score this was.
            gone = counts[i + 1] if i + 1 <= most else 0
            if i == J - 1:
                k = int(counts[J]) and few
                self._jump(ends, few, skipped, counts[J], i, (asked, dots, softs, mixes), kinds)
        # The last ones in flight.
        last = followed - 1
        return self._drain_groups(kinds, followed, dots, softs, mixes, skipped, uneven)

    def _kind(self, kinds, index, m, uneven):
        full, rest = kinds
        if not uneven:
            return tuple(each.head(m) for each in full)
        a = self.z.attention
        is_rest = index % a.parts[:m] == a.parts[:m] - 1
        out = []
        for f, r in zip(full, rest, strict=True):
            values = {name: np.where(is_rest, getattr(r, name)[:m], getattr(f, name)[:m]) for name in vars(f)}
            out.append(type(f)(**values))
        return tuple(out)

    def _query_ready_head(self, index, m):
        a, z, c = self.z.attention, self.z, self.c
        heads = index // a.parts[:m]
        head = heads % c.kv_heads[:m]
        part = index % a.parts[:m]
        query = head * a.group_size[:m] + np.minimum((part + 1) * a.queries[:m], a.group_size[:m])
        rows = query * c.head_dim[:m]
        piece = (rows - 1) // (z.piece_blocks * z.slices)[:m]
        other = self.query_end[:m] - (self.others[:m] - piece) * self.query_each[:m]
        when = np.where(piece < 1, self.query_first[:m], np.where(piece < z.query_pieces[:m], other, LONG_AGO))
        return when + (self.drain * c.batch)[:m] + MATRIX_LATENCY + EPILOGUE_LATENCY

    def _weigh(self, kinds, i, m, uneven, dots, softs, mixes, skipped, counts):
        index = i + np.where(i >= self.jump_at, skipped[:m], 0)
        kind = self._kind(kinds, index, m, uneven)
        ready = dots[i][:m]
        if i - self.overlap in mixes:
            ready = np.maximum(ready, mixes[i - self.overlap][:m])
        softs.setdefault(i, np.full(self.n, LONG_AGO))[:m] = self.vector.head(m).run(kind[4], ready + _ISSUE)
        self.control[:m] += 1

    def _mix(self, kinds, i, m, uneven, softs, mixes, skipped):
        index = i + np.where(i >= self.jump_at, skipped[:m], 0)
        kind = self._kind(kinds, index, m, uneven)
        fetched = self.control[:m] + _ISSUE + self.rates.first[:m]
        mixes.setdefault(i, np.full(self.n, LONG_AGO))[:m] = self.matrix.head(m).run(kind[2], softs[i][:m] + _ISSUE, fetched, is_sum=True)
        self.control[:m] += 3

    def _jump(self, ends, few, skipped, m, i, logs, kinds):
        """Let the groups that are not followed pass, each as long as those before."""
        if not m:
            return
        places = np.arange(m)
        table = np.stack([e[:m] for e in ends])
        period = (table[-1] - table[len(ends) - 1 - few[:m], places]) / few[:m]
        self.period = period
        shift = period * skipped[:m]
        matrix, vector = self.matrix.head(m), self.vector.head(m)
        for array in (matrix.free, matrix.capture_from, matrix.clock, vector.free, vector.first_free, vector.codes_end):
            array += shift
        self.control[:m] += np.where(skipped[:m] > 0, shift, 0)
        for log in logs:
            for key in log:
                size = min(m, len(log[key]))
                log[key][:size] += shift[:size]

    def _drain_groups(self, kinds, followed, dots, softs, mixes, skipped, uneven):
        """Mix what is in flight when the last group has been scored."""
        overlap, n = self.overlap, self.n
        result = None
        def pick(log, index):
            keys = sorted(log)
            table = np.stack([np.concatenate([log[k], np.full(n - len(log[k]), LONG_AGO)]) for k in keys])
            return table[np.clip(index - keys[0], 0, len(keys) - 1), np.arange(n)]
        for back in range(overlap - 1, 0, -1):
            i = followed - back
            is_any = i >= 0
            index = i + np.where(i >= self.jump_at, skipped, 0)
            kind = self._kind(kinds, index, n, uneven)
            if back == 1:
                ready = pick(dots, i)
                soft = self.vector.run(kind[4], ready + _ISSUE)
            else:
                soft = pick(softs, i)
            fetched = self.control + _ISSUE + self.rates.first
            keep = (self.matrix.free.copy(), self.matrix.capture_from.copy(), self.matrix.clock.copy())
            mixed = self.matrix.run(kind[2], soft + _ISSUE, fetched, is_sum=True)
            if not is_any.all():
                for array, old in zip((self.matrix.free, self.matrix.capture_from, self.matrix.clock), keep, strict=True):
                    array[...] = np.where(is_any, array, old)
            result = mixed
        return result

    # Before and after the layers

    def prologue(self) -> np.ndarray:
        c, z = self.c, self.z
        side = self.rates.side_read
        loaded = z.program + side - 1
        def load(beats):
            count = ceil_div(beats, 63 * 64)
            return beats + count * (side + 2)
        rotation = load(z.rotation_beats) * (2 if self.has_sinks else 1)
        end = loaded + REFILL_CYCLES + c.batch * load(z.input_beats) + rotation + load(z.first_load_beats)
        issue = end + _ISSUE
        return issue + 1 + 1 + MATRIX_LATENCY + EPILOGUE_LATENCY

    def head(self) -> np.ndarray:
        """Return the cycles from the end of the layers to the answer of the last store."""
        c, z, m = self.c, self.z, self.matrix
        now = np.zeros(self.n)
        m.free[...], m.capture_from[...], m.clock[...] = 0, LONG_AGO, 0
        for array in (self.vector.free, self.vector.first_free, self.vector.codes_end):
            array[...] = LONG_AGO
        mover = np.full(self.n, LONG_AGO)
        answered = np.full(self.n, LONG_AGO)
        rows_left = c.batch.copy()
        ready_norm = np.zeros(self.n)
        for run in range(int(z.passes.max())):
            rows = np.minimum(z.final_rows, np.maximum(rows_left, 1))
            is_run = run < z.passes
            keep = [x.copy() for x in (m.free, m.capture_from, m.clock, mover, answered)]
            mover, answered, ready = self._pass(rows, ready_norm, mover, answered)
            if not is_run.all():
                m.free[...], m.capture_from[...], m.clock[...] = (np.where(is_run, a, b) for a, b in zip((m.free, m.capture_from, m.clock), keep[:3], strict=True))
                mover, answered = np.where(is_run, mover, keep[3]), np.where(is_run, answered, keep[4])
            ready_norm = ready
            rows_left = rows_left - rows
        return answered

    def _pass(self, rows, ready, mover, answered):
        c, z, m = self.c, self.z, self.matrix
        codes = self.vector.run(self._vector(rows, c.hidden // c.lanes, 1), ready + _ISSUE)
        whole = self._weights(z.head, z.chunk_blocks, rows)
        last_blocks = z.head.blocks - (z.chunks - 1) * z.chunk_blocks
        short = self._weights(z.head, last_blocks, rows)
        beats, last_beats = z.chunk_blocks * z.slices // 4, ceil_div(last_blocks * z.slices, 4)
        stored = [np.full(self.n, LONG_AGO), answered]
        done = codes
        few = 5
        arrival = np.full(self.n, LONG_AGO)
        middle = np.minimum(z.chunks - 1, few)
        ends = []
        def store(after, beats, mover, answered, mask):
            for row in range(int(rows.max())):
                issue = np.maximum(after, mover) + _ISSUE
                release = issue + WRITE_LEAD + beats
                reply = np.maximum(release + self.rates.side_answer, answered + beats * self.rates.lined) + 1
                is_row = mask & (row < rows)
                mover, answered = np.where(is_row, release, mover), np.where(is_row, reply, answered)
            return mover, answered
        for chunk in range(few):
            mask = chunk < z.chunks - 1
            if not mask.any():
                break
            keep = [x.copy() for x in (m.free, m.capture_from, m.clock)]
            end = m.run(whole, np.maximum(codes, stored[-2]) + _ISSUE, arrival)
            for array, old in zip((m.free, m.capture_from, m.clock), keep, strict=True):
                array[...] = np.where(mask, array, old)
            mover, answered = store(end, beats, mover, answered, mask)
            stored = [stored[-1], np.where(mask, answered, stored[-1])]
            ends.append((m.free.copy(), mover.copy()))
        more = np.maximum(z.chunks - 1 - few, 0)
        if more.any():
            shift = more * np.maximum(ends[-1][0] - ends[-3][0], ends[-1][1] - ends[-3][1]) / 2
            for array in (m.free, m.capture_from, m.clock):
                array += shift
            mover, answered = mover + shift, answered + shift
            stored = [s + shift for s in stored]
        end = m.run(short, np.maximum(codes, stored[-2]) + _ISSUE, arrival)
        mover, answered = store(end, last_beats, mover, answered, np.ones(self.n, bool))
        return mover, answered, end


_FOLLOWED = 14


def cycles_of(c: Candidates, z: Sizes) -> np.ndarray:
    total = np.zeros(len(c.batch))
    a = z.attention
    rates = sustained(
        Readers(
            clock_hz=c.clock_hz,
            ports=c.ports,
            port_bytes=c.port_bits // 8,
            burst_beats=c.burst_beats,
            fifo_beats=c.fifo_beats,
            memory=c.memory,
        )
    )
    followed = np.where(a.groups > _FOLLOWED + 6, 0, a.groups)
    extra = (a.groups - _FOLLOWED) // a.parts * a.parts
    followed = np.where(a.groups > _FOLLOWED + 6, a.groups - extra, a.groups)
    parts = {}
    for overlap in np.unique(a.overlap):
        for sinks in (False, True):
            where = np.flatnonzero((a.overlap == overlap) & (a.has_sinks == sinks))
            if not len(where):
                continue
            where = where[np.argsort(-followed[where], kind="stable")]
            token = _Token(_taken(c, where), _taken(z, where), _taken(rates, where), int(overlap), sinks)
            token.followed, token.jump_at = followed[where], _FOLLOWED - 2
            begin = token.prologue()
            layer = token.layer()
            end = token.head()
            total[where] = begin + c.layers[where] * layer + end + 2
            for name, value in (("begin", begin), ("layer", layer), ("end", end)):
                parts.setdefault(name, np.zeros(len(total)))[where] = value
    return total, parts


def _taken(arrays, where):
    values = {}
    for field in dataclasses.fields(arrays):
        value = getattr(arrays, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = _taken(value, where)
        elif isinstance(value, dict):
            values[field.name] = value
        else:
            values[field.name] = value[where]
    return type(arrays)(**values)
