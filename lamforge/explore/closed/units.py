"""The time laws of the matrix and vector units for many candidates at once: when instructions issue, release and retire.

Every array has one entry a candidate and counts cycles. The laws are those of docs/engine.md, sections 4 and 5, with the beats of
a stream taken as a fluid, and the rows of an instruction as alike.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np

from hwsim.arch.timing import CODE_LATENCY, EPILOGUE_LATENCY, MATRIX_LATENCY, MEASURE_LATENCY, VECTOR_ROWS

__all__ = ["LONG_AGO", "WRITTEN", "MatrixUnit", "Passes", "VectorUnit", "Work", "chosen", "dot_work", "passes"]

LONG_AGO = -1e9
"""A cycle before everything that matters."""
WRITTEN = MATRIX_LATENCY + EPILOGUE_LATENCY
"""Cycles from the end of a drain to the retirement of the instruction."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Arrays:
    """Arrays [candidates] by name."""

    def head(self, count: int) -> Self:
        """Return the first `count` candidates."""
        return type(self)(**{name: part[:count] for name, part in vars(self).items()})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Work(_Arrays):
    """What an instruction of the matrix unit takes; arrays [candidates].

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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Passes(_Arrays):
    """What an instruction of the vector unit takes; arrays [candidates].

    Attributes:
        first: cycles of the first pass over a row.
        words: words of a row.
        rows: rows.
        to_last: cycles from the start of the first row to that of the last.
        coded: cycles of the codes of all rows but the last.
        is_alone: whether the temporary memory holds a single row of these.
    """

    first: np.ndarray
    words: np.ndarray
    rows: np.ndarray
    to_last: np.ndarray
    coded: np.ndarray
    is_alone: np.ndarray


def passes(rows: np.ndarray, words: np.ndarray, first: np.ndarray, temporary: np.ndarray) -> Passes:
    """Return the passes over `rows` rows of `words` words, with `temporary` words of temporary memory.

    As many rows as fit the memory are in flight; the next one begins when the codes of the oldest have ended (section 5).
    """
    held = np.clip(temporary // words, 1, VECTOR_ROWS)
    turns, left = np.divmod(rows - 1, held)
    to_last = turns * np.maximum(held * first, first + MEASURE_LATENCY + words) + left * first
    return Passes(first=first, words=words, rows=rows, to_last=to_last, coded=(rows - 1) * words, is_alone=held == 1)


def chosen(where: np.ndarray, these: _Arrays, others: _Arrays) -> dict[str, np.ndarray]:
    """Return the arrays of `these` where `where` holds, of `others` elsewhere, for its candidates."""
    count = len(where)
    return {name: np.where(where, part[:count], getattr(others, name)[:count]) for name, part in vars(these).items()}


class _Unit:
    """A unit as the rows of one array `state` [quantities, candidates]."""

    def __init__(self, state: np.ndarray):
        self.state = state

    def keep(self, where: np.ndarray, before: np.ndarray) -> None:
        """Take the state `before` back for the candidates of which `where` does not hold."""
        np.copyto(self.state, before, where=~where)


class MatrixUnit(_Unit):
    """The matrix unit behind its streams.

    state: last cycle that the instruction before holds; first cycle in which the next capture may happen; cycle in which the
    last beat so far arrives at the earliest; cycles in which instructions were at work.
    """

    def __init__(self, state: np.ndarray, period: np.ndarray, ahead: np.ndarray):
        super().__init__(state)
        self.free, self.capture_from, self.clock, self.busy = state
        self.period = period
        """Cycles from one beat to the next that the memory sustains."""
        self.ahead = ahead
        """Cycles that a memory with full FIFOs is ahead of the first pop of an instruction."""

    @classmethod
    def at_rest(cls, period: np.ndarray, ahead: np.ndarray) -> MatrixUnit:
        """Return a unit that has done nothing."""
        unit = cls(np.full((4, len(period)), LONG_AGO), period, ahead)
        unit.rest()
        return unit

    def rest(self) -> None:
        """Forget everything before cycle 0; the streams begin then."""
        self.state[:2] = LONG_AGO
        self.state[2:] = 0

    def head(self, count: int) -> MatrixUnit:
        """Return the unit of the first `count` candidates, which shares the state of this one."""
        return MatrixUnit(self.state[:, :count], self.period[:count], self.ahead[:count])

    def run(self, work: Work, ready: np.ndarray, arrival: np.ndarray, *, is_sum: bool = False) -> np.ndarray:
        """Return when an instruction retires that may issue from `ready` on and pop its first beat from `arrival` on.

        The captures of a DOT wait for the drain before; of a sum (AXPY) the first beat does.
        """
        start = np.maximum(np.maximum(ready, self.free + 1) + 1, arrival)
        if is_sum:
            np.maximum(start, self.capture_from, out=start)
            end = start + (work.first - 1)
        else:
            end = np.maximum(start + (work.first - 1), self.capture_from) + work.rest
        self.clock[...] = np.maximum(self.clock, start - self.ahead) + work.beats * self.period
        end = np.maximum(end, self.clock)
        self.busy += end - start + 1
        self.free[...] = end
        np.add(end, work.drain, out=self.capture_from)
        return self.capture_from + WRITTEN


class VectorUnit(_Unit):
    """The vector unit.

    state: last cycle that the instruction before holds; first cycle in which the first pass is free; end of the last codes, and of
    those of the instruction before it; then the rows and the cycles from one row to the next of the last instruction, and
    those of the one before it.
    """

    def __init__(self, state: np.ndarray):
        super().__init__(state)
        self.free, self.first_free, self.codes_end, self._end_before = state[:4]
        self._rows, self._pitch, self._rows_before, self._pitch_before = state[4:]

    @classmethod
    def at_rest(cls, count: int) -> VectorUnit:
        """Return a unit of `count` candidates that has done nothing."""
        state = np.zeros((8, count))
        state[:4] = LONG_AGO
        return cls(state)

    def head(self, count: int) -> VectorUnit:
        """Return the unit of the first `count` candidates, which shares the state of this one."""
        return VectorUnit(self.state[:, :count])

    def pass_time(self, cycles: np.ndarray) -> None:
        """Let time pass without a change."""
        self.state[:4] += cycles

    def run(self, work: Passes, ready: np.ndarray) -> np.ndarray:
        """Return when an instruction retires that may issue from `ready` on."""
        start = np.maximum(np.maximum(ready, self.free + 1) + 1, self.first_free)
        np.copyto(start, np.maximum(start, self.codes_end), where=work.is_alone)
        last = np.maximum(start + work.to_last, self._ended(VECTOR_ROWS - work.rows))
        passed = last + work.first
        codes = np.maximum(passed + MEASURE_LATENCY, self.codes_end + work.coded) + work.words
        free = np.maximum(last, passed - 2)
        self.keep_row(free, passed, codes, work.rows, work.first)
        return codes + CODE_LATENCY

    def keep_row(self, free: np.ndarray, passed: np.ndarray, codes: np.ndarray, rows: np.ndarray, pitch: np.ndarray) -> None:
        """Take the end of an instruction as the state: when it is released, its first pass is over, and its codes end."""
        self.state[6:] = self.state[4:6]
        self._end_before[...] = self.codes_end
        self.free[...], self.first_free[...], self.codes_end[...], self._rows[...], self._pitch[...] = (
            free,
            passed,
            codes,
            rows,
            pitch,
        )

    def _ended(self, others: np.ndarray) -> np.ndarray:
        """Return when the codes of the row end after which so many `others` began: not more than a few rows are in flight."""
        more = others - self._rows
        before = np.where(more < self._rows_before, self._end_before - more * self._pitch_before, LONG_AGO)
        return np.where(more < 0, self.codes_end - others * self._pitch, before)
