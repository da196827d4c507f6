"""Iterations of a loop that take the cycles of the one before them: found by comparing all of the state, and jumped over."""

import dataclasses
from collections.abc import Callable

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.arch.timing import MOVER_WRITES, VECTOR_ROWS
from hwsim.machine.time.compute import CAPTURE_FROM, CODES_END, FREE_FROM, HELD_WORDS, OLDEST, ROWS, STARTED
from hwsim.machine.time.ports import ACCEPTED, POPPED
from hwsim.machine.time.state import ANSWERED, DONE, EXECUTED, LAST_RETIRE, State
from hwsim.machine.time.work import Work
from hwsim.machine.trace import Trace

__all__ = ["run_repeats"]

_MOST_DIFFERENT = 16
"""Iterations beyond the reach of the oldest instruction after which no repetition is expected any more."""
_PERIODS = 3
"""Numbers of iterations that are tried as one, each twice the one before: layers of odd length cut bursts by turns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Loop:
    """Iterations whose work is the same.

    Attributes:
        first: first instruction of the first of them.
        length: instructions of each.
        count: how many there are.
        reach: iterations back to the oldest instruction that one can wait for.
    """

    first: int
    length: int
    count: int
    reach: int


def run_repeats(
    trace: Trace,
    work: Work,
    state: State,
    times: np.ndarray,
    waits: np.ndarray,
    *,
    queue_depth: int,
    burst_beats: int,
    advance: Callable[[int], None],
) -> None:
    """Take a run into its longest loop, and over the iterations that repeat the one before; without any, nothing is lost.

    Where the state after an iteration is the state before it, some cycles later, and the next iteration has the same work,
    the next takes the same cycles again: in a memory that answers alike in every cycle, time depends on nothing else.

    times, waits: as the run fills them. advance: takes the run as far as it comes with the instructions before a number.
    """
    loop = _loop_of(trace, work, queue_depth, burst_beats)
    if loop is None:
        return
    before, known, alike = state, np.zeros(0), 0
    for number in range(min(loop.count, loop.reach + _MOST_DIFFERENT)):
        end = loop.first + number * loop.length
        advance(end)
        if state.control[DONE] < end:
            return
        now = _later(state, times[:, max(0, end - loop.length) : end])
        alike = alike + 1 if np.array_equal(known, now) else 0
        if alike == loop.reach:
            _jump(loop, end, loop.count - number, before, state, times, waits)
            return
        before, known = State(*(values.copy() for values in state)), now


def _loop_of(trace: Trace, work: Work, queue_depth: int, burst_beats: int) -> _Loop | None:
    """Return the iterations of the longest loop that are the same work, after its first, or None."""
    if trace.longest_loop is None:
        return None
    first, length = trace.longest_loop
    fetches = np.flatnonzero(work.unit[first : first + length] == Unit.FETCH) + first
    for _ in range(_PERIODS):
        later = fetches[fetches + length < len(trace)] + length
        if not ((work.amount[later, 0] - work.amount[later - length, 0]) % burst_beats).any():
            break
        length *= 2
    else:
        return None
    count = _same_work(trace, work, first, length, burst_beats)
    if count < 2:
        return None
    members = [each[each >= 0] for each in work.members]
    behind = [queue_depth] * len(Unit)
    behind[Unit.MOVER] = max(queue_depth, MOVER_WRITES)
    reaches = [each[depth:] - each[:-depth] for each, depth in zip(members, behind, strict=True)]
    reaches += [(np.arange(len(trace))[:, None] - work.partner)[work.partner >= 0]]
    reach = max(int(each.max(initial=1)) for each in reaches)
    return _Loop(first=first, length=length, count=count, reach=-(-reach // length))


def _same_work(trace: Trace, work: Work, first: int, length: int, burst_beats: int) -> int:
    """Return how many times from instruction `first` on the next `length` instructions are the same work, one after the other."""
    count = (len(trace) - first) // length
    if count < 2:
        return count
    rows = slice(first, first + count * length)
    unit, amount, partner = work.unit[rows], work.amount[rows].copy(), work.partner[rows]
    # Of a stream's place it matters where its bursts are cut; of a store's, nothing does.
    amount[unit == Unit.FETCH, 0] %= burst_beats
    amount[unit == Unit.MOVER, 2] = 0
    distance = np.where(partner < 0, partner, np.arange(rows.start, rows.stop)[:, None] - partner)
    slots = np.diff(trace.slot[first - 1 : rows.stop])
    every = np.column_stack([unit, amount, distance, slots]).reshape(count, -1)
    differs = np.flatnonzero((every != every[0]).any(axis=1))
    return int(differs[0]) if len(differs) else count


def _later(state: State, times: np.ndarray) -> np.ndarray:
    """Return all that what follows depends on; `times` are those of the last iteration.

    Cycles are counted from the last dispatch on. Those before it are the same: what follows issues later.
    """
    control, streams, vector, ready, pops = state.control, state.streams, state.vector, state.ready, state.pops
    first = int(streams[POPPED])
    gone = np.arange(first - len(pops), first)
    popped = np.where(gone < 0, 0, pops[gone % len(pops)])
    waiting = ready[np.arange(first, streams[ACCEPTED]) % len(ready)]
    rows = ROWS + 2 * (np.arange(vector[OLDEST], vector[STARTED]) % VECTOR_ROWS)
    cycles = [control[[LAST_RETIRE, ANSWERED]], state.matrix[[CAPTURE_FROM]], vector[[FREE_FROM, CODES_END]], vector[rows + 1]]
    cycles += [state.arrival, popped, waiting, times.ravel()]
    counts = [vector[rows], vector[[HELD_WORDS]], [len(rows), len(waiting)]]
    return np.concatenate([np.maximum(np.concatenate(cycles) - control[EXECUTED], 0), *counts])


def _jump(loop: _Loop, end: int, count: int, before: State, state: State, times: np.ndarray, waits: np.ndarray) -> None:
    """Write down `count` iterations from instruction `end` on like the one before them, and take the state to their end."""
    length, last = loop.length, slice(end - loop.length, end)
    every = slice(end, end + count * length)
    cycles = int(state.control[EXECUTED] - before.control[EXECUTED])
    beats = int(state.streams[POPPED] - before.streams[POPPED])
    rows = int(state.vector[STARTED] - before.vector[STARTED])
    times[:, every] = (times[:, None, last] + cycles * np.arange(1, count + 1)[:, None]).reshape(len(times), -1)
    waits[every] = np.tile(waits[last], (count, 1))
    for ring in (state.ready, state.pops):
        ring[:] = np.roll(ring + count * cycles, count * beats)
    in_flight = state.vector[ROWS:].reshape(-1, 2)
    in_flight[:] = np.roll(in_flight + np.array([0, count * cycles]), count * rows, axis=0)
    for name in ("control", "retired", "streams", "matrix", "earliest", "arrival"):
        values, old = getattr(state, name), getattr(before, name)
        values += count * (values - old)
    vector, old = state.vector[:ROWS], before.vector[:ROWS]
    vector += count * (vector - old)
