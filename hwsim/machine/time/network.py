"""The run of control and the four units together: each goes on as far as what it waits for is known."""

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY, MOVER_WRITES, REFILL_CYCLES
from hwsim.compiled import compiled, compiled_part
from hwsim.machine.rules import check
from hwsim.machine.time import compute
from hwsim.machine.time.ports import FETCH_STATE, LAST, OFFSET, REMAINING, advance_fetch, side_read, side_write
from hwsim.machine.time.result import Timeline, charge, refuse_overflow, refuse_standstill
from hwsim.machine.time.work import NEVER, WRITE, Work, work_of
from hwsim.machine.trace import Trace
from hwsim.memory.models import IDEAL, Channels, MemoryModel

__all__ = ["run_time"]

_FETCH, _MATRIX, _VECTOR, _MOVER = (int(unit) for unit in Unit)
_FAR_PAST = -(1 << 60)


def run_time(trace: Trace, config: EngineConfig, memory: MemoryModel = IDEAL) -> Timeline:
    """Return when every instruction of `trace` is dispatched, issued and retired.

    Raises:
        ProgramError: an instruction asks for what the engine does not have.
        MachineError: the engine would stand still for ever, or a token counter would overflow.
    """
    check(trace, config)
    work = work_of(trace, config)
    members, rank = _queues(work)
    times = np.full((4, len(trace)), -1, dtype=np.int64)
    waits = np.zeros((len(trace), 3), dtype=np.int64)
    sizes = (
        config.control.queue_depth,
        config.fetch.burst_beats,
        config.fetch.fifo_beats,
        1 if memory.are_ports_alike else config.tile.ports,
        config.tile.ports,
        len(trace.decoded.words),
        config.temporary_words,
    )
    channels = memory.channels(config)
    loaded, done, cycles = _run(work, trace.slot, trace.end_slot, members, rank, channels, sizes, times, waits)
    refuse_overflow(trace, work, times)
    if done < len(trace):
        refuse_standstill(trace, work, times)
    return charge(trace, work, config, times, waits, int(loaded), int(cycles))


def _queues(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's instructions in order [4, most] (padded with -1) and each instruction's place among them."""
    lists = [np.flatnonzero(work.unit == unit) for unit in Unit]
    members = np.full((len(Unit), max(max(len(entry) for entry in lists), 1)), -1, dtype=np.int64)
    rank = np.zeros(len(work.unit), dtype=np.int64)
    for unit, entry in enumerate(lists):
        members[unit, : len(entry)] = entry
        rank[entry] = np.arange(len(entry))
    return members, rank


@compiled_part
def _issue_cycle(index: int, previous: int, partner: np.ndarray, times: np.ndarray) -> int:
    """Return the cycle in which an instruction issues, or -1 while something it waits for is not known."""
    if times[0, index] < 0:
        return -1
    cycle = times[0, index] + 1
    if previous >= 0:
        if times[2, previous] < 0:
            return -1
        cycle = max(cycle, times[2, previous] + 1)
    for unit in range(4):
        other = partner[index, unit]
        if other == NEVER:
            return -1
        if other >= 0:
            if times[3, other] < 0:
                return -1
            cycle = max(cycle, times[3, other] + 1)
    return cycle


@compiled_part
def _mover_free(place: int, kind: int, members: np.ndarray, times: np.ndarray) -> int:
    """Return the first cycle in which responses to come allow the mover's instruction number `place` to issue."""
    behind = 1 if kind != WRITE else MOVER_WRITES
    return times[3, members[place - behind]] + 1 if place >= behind else 0


@compiled
def _run(
    work: Work,
    slot: np.ndarray,
    end_slot: int,
    members: np.ndarray,
    rank: np.ndarray,
    model: Channels,
    sizes: tuple[int, ...],
    times: np.ndarray,
    waits: np.ndarray,
) -> tuple[int, int, int]:
    """Fill times (dispatch, issue, release, retire); return (program loaded, instructions retired, cycles)."""
    unit, amount, partner = work
    queue_depth, burst_beats, fifo_beats, ports, side_port, words, temporary_words = sizes
    count = len(unit)
    next_of = np.zeros(4, np.int64)
    active = np.zeros(4, np.int64)
    streams, matrix = np.zeros(FETCH_STATE, np.int64), np.zeros(compute.MATRIX_STATE, np.int64)
    matrix[compute.CAPTURE_FROM] = _FAR_PAST
    vector = np.zeros(compute.VECTOR_STATE, np.int64)
    earliest, arrival = np.zeros(ports, np.int64), np.full(ports, -1, np.int64)
    ready, pops = np.zeros(fifo_beats, np.int64), np.zeros(fifo_beats, np.int64)
    loaded = side_read(model, side_port, 0, words)
    answered = -1
    executed, executed_slot, dispatched, done, last_retire = loaded, -REFILL_CYCLES, 0, 0, -1
    moved = True
    while moved and done < count:
        moved = False
        while dispatched < count:
            cycle = executed + slot[dispatched] - executed_slot
            place = rank[dispatched] - queue_depth
            if place >= 0:
                leaving = times[1, members[unit[dispatched], place]]
                if leaving < 0:
                    break
                cycle = max(cycle, leaving + 1)
            times[0, dispatched] = cycle
            executed, executed_slot = cycle, slot[dispatched]
            dispatched += 1
            moved = True
        for own in range(4):
            while next_of[own] < members.shape[1] and members[own, next_of[own]] >= 0:
                place = next_of[own]
                index = members[own, place]
                if not active[own]:
                    issue = _issue_cycle(index, members[own, place - 1] if place else -1, partner, times)
                    if issue < 0:
                        break
                    if own == _MOVER:
                        issue = max(issue, _mover_free(place, amount[index, 0], members[own], times))
                    times[1, index] = issue
                    moved = True
                    active[own] = 1
                    if own == _FETCH:
                        streams[OFFSET], streams[REMAINING], streams[LAST] = amount[index, 0], amount[index, 1], issue
                        earliest[:] = issue + 1
                    elif own == _MATRIX:
                        matrix[compute.BLOCK], matrix[compute.POSITION], matrix[compute.BUSY_UNTIL] = 0, 0, issue
                issue = times[1, index]
                if own == _FETCH:
                    before = streams[REMAINING]
                    ended = advance_fetch(streams, model, burst_beats, earliest, arrival, ready, pops)
                    moved = moved or streams[REMAINING] != before
                    if not ended:
                        break
                    release = retire = streams[LAST] + 1
                elif own == _MATRIX:
                    taken = waits[index, 0]
                    ended = compute.advance_matrix(matrix, streams, amount[index], ready, pops, waits[index])
                    moved = moved or waits[index, 0] != taken
                    if not ended:
                        break
                    release = matrix[compute.BUSY_UNTIL]
                    retire = release + amount[index, 4] + MATRIX_LATENCY + EPILOGUE_LATENCY
                elif own == _VECTOR:
                    release, retire = compute.advance_vector(vector, amount[index], issue, temporary_words)
                elif amount[index, 0] == WRITE:
                    release, answered = side_write(model, side_port, issue + 1, amount[index, 1], amount[index, 2], answered)
                    retire = answered + 1
                else:
                    release = retire = side_read(model, side_port, issue + 1, amount[index, 1]) + 1
                times[2, index], times[3, index] = release, retire
                last_retire = max(last_retire, retire)
                active[own] = 0
                next_of[own] += 1
                done += 1
                moved = True
    end = max(executed + end_slot - executed_slot, last_retire + 1)
    return loaded, done, end + 1
