"""The time laws of the matrix and vector units for many candidates at once: when instructions issue, release and retire.

Every array has one entry a candidate and counts cycles; a state may be that of the first candidates alone, as views. The laws
are those of docs/engine.md, sections 3 to 5, with the beats of a stream taken as a fluid and rows of one length.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.timing import (
    CODE_LATENCY,
    EPILOGUE_LATENCY,
    FIFO_LATENCY,
    MATRIX_LATENCY,
    MEASURE_LATENCY,
    VECTOR_ROWS,
)

__all__ = ["LONG_AGO", "MatrixUnit", "Passes", "VectorUnit", "Work", "dot_work", "passes"]

LONG_AGO = -1e9
"""A cycle before everything that matters."""
_WRITTEN = MATRIX_LATENCY + EPILOGUE_LATENCY


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What an instruction of the matrix unit takes.

    Attributes:
        beats: beats popped.
        first: cycles from the first pop to the first capture, both included.
        rest: cycles from the first capture to the last one.
        drain: cycles of the drain that the last capture begins.
    """

    beats: np.ndarray
    first: np.ndarray
    rest: np.ndarray
    drain: np.ndarray

    def head(self, count: int) -> Work:
        """Return the work of the first `count` candidates."""
        return Work(beats=self.beats[:count], first=self.first[:count], rest=self.rest[:count], drain=self.drain[:count])


def dot_work(
    blocks: np.ndarray, body: np.ndarray, cycles: np.ndarray, header_blocks: int, drain: np.ndarray, slowing: np.ndarray
) -> Work:
    """Return the work of a DOT of `blocks` row blocks, of `body` beats in `cycles` cycles each.

    A block takes the longer of its cycles and of the drain of the block before, times what the memory slows it down by; the
    first of every `header_blocks` has a header beat more (docs/engine.md, section 4).
    """
    headers = -(-blocks // header_blocks)
    plain, headed = np.maximum(cycles, drain) * slowing, np.maximum(cycles + 1, drain) * slowing
    rest = (headers - 1) * headed + (blocks - headers) * plain
    return Work(beats=blocks * body + headers, first=(cycles + 1) * slowing, rest=rest, drain=drain)


class MatrixUnit:
    """The matrix unit and the streams before it."""

    def __init__(self, free: np.ndarray, capture_from: np.ndarray, clock: np.ndarray, period: np.ndarray, ahead: np.ndarray):
        self.free = free
        """Last cycle that the instruction before holds."""
        self.capture_from = capture_from
        """First cycle in which the next capture may happen."""
        self.clock = clock
        """Cycle in which the last beat so far arrives at the earliest, of a memory that brings one every `period`."""
        self.period = period
        self.ahead = ahead
        """Cycles that such a memory is ahead of the first pop of an instruction at most: those of a full FIFO."""

    def head(self, count: int) -> MatrixUnit:
        """Return the unit of the first `count` candidates, which shares the arrays of this one."""
        return MatrixUnit(*(part[:count] for part in (self.free, self.capture_from, self.clock, self.period, self.ahead)))

    def run(self, work: Work, ready: np.ndarray, arrival: np.ndarray, *, is_sum: bool = False) -> np.ndarray:
        """Return when an instruction retires that may issue from `ready` on and whose first beat may be popped from `arrival` on.

        The captures of a DOT wait for the drain before; of a sum (AXPY) the first beat does.
        """
        start = np.maximum(np.maximum(ready, self.free + 1) + 1, arrival)
        if is_sum:
            start = np.maximum(start, self.capture_from)
            end = start + (work.first - 1)
        else:
            end = np.maximum(start + (work.first - 1), self.capture_from) + work.rest
        self.clock[...] = np.maximum(self.clock, start - self.ahead) + work.beats * self.period
        end = np.maximum(end, self.clock)
        self.free[...] = end
        np.add(end, work.drain, out=self.capture_from)
        return self.capture_from + _WRITTEN


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Passes:
    """What an instruction of the vector unit takes.

    Attributes:
        first: cycles of the first pass over a row.
        words: words of a row.
        until_last: cycles from the start of the first row to that of the last.
        rows: rows.
        is_alone: whether the temporary memory holds a single row of these.
    """

    first: np.ndarray
    words: np.ndarray
    until_last: np.ndarray
    rows: np.ndarray
    is_alone: np.ndarray

    def head(self, count: int) -> Passes:
        """Return the passes of the first `count` candidates."""
        return Passes(**{name: part[:count] for name, part in vars(self).items()})


def passes(rows: np.ndarray, words: np.ndarray, first: np.ndarray, temporary: np.ndarray) -> Passes:
    """Return the passes over `rows` rows of `words` words, with `temporary` words of temporary memory (section 5).

    As many rows as fit the memory are in flight; the next one begins when the codes of the oldest have ended.
    """
    held = np.clip(temporary // words, 1, VECTOR_ROWS)
    turns, left = (rows - 1) // held, (rows - 1) % held
    until_last = turns * np.maximum(held * first, first + MEASURE_LATENCY + words) + left * first
    return Passes(first=first, words=words, until_last=until_last, rows=rows, is_alone=held == 1)


class VectorUnit:
    """The vector unit."""

    def __init__(self, free: np.ndarray, first_free: np.ndarray, codes_end: np.ndarray):
        self.free = free
        """Last cycle that the instruction before holds."""
        self.first_free = first_free
        """First cycle in which the first pass is free."""
        self.codes_end = codes_end
        """End of the codes of the last row."""

    def head(self, count: int) -> VectorUnit:
        """Return the unit of the first `count` candidates, which shares the arrays of this one."""
        return VectorUnit(self.free[:count], self.first_free[:count], self.codes_end[:count])

    def run(self, work: Passes, ready: np.ndarray) -> np.ndarray:
        """Return when an instruction retires that may issue from `ready` on."""
        issue = np.maximum(ready, self.free + 1)
        start = np.maximum(issue + 1, self.first_free)
        start = np.where(work.is_alone, np.maximum(start, self.codes_end), start)
        last = start + work.until_last
        passed = last + work.first
        codes = np.maximum(passed + MEASURE_LATENCY, self.codes_end + (work.rows - 1) * work.words)
        np.maximum(last, passed - 2, out=self.free)
        self.first_free[...] = passed
        np.add(codes, work.words, out=self.codes_end)
        return self.codes_end + CODE_LATENCY
