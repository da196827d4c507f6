"""The run of control and the four units together: each goes on as far as what it waits for is known."""

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY, MOVER_WRITES, REFILL_CYCLES
from hwsim.compiled import compiled, compiled_part
from hwsim.machine.rules import check
from hwsim.machine.time import compute
from hwsim.machine.time.ports import LAST, OFFSET, REMAINING, advance_fetch, side_read, side_write
from hwsim.machine.time.repeats import run_repeats
from hwsim.machine.time.result import Timeline, charge, refuse_overflow, refuse_standstill
from hwsim.machine.time.state import ANSWERED, DISPATCHED, DONE, EXECUTED, EXECUTED_SLOT, LAST_RETIRE, LOADED, State, start_state
from hwsim.machine.time.work import NEVER, WRITE, Work, work_of
from hwsim.machine.trace import Trace
from hwsim.memory.models import IDEAL, Channels, MemoryKind, MemoryModel

__all__ = ["run_time", "run_work"]

_FETCH, _MATRIX, _VECTOR, _MOVER = (int(unit) for unit in Unit)


def run_time(trace: Trace, config: EngineConfig, memory: MemoryModel = IDEAL, *, side_bytes: int | None = None) -> Timeline:
    """Return when every instruction of `trace` is dispatched, issued and retired.

    side_bytes: size of the side memory; None sets no limit.

    Raises:
        ProgramError: an instruction asks for what the engine does not have.
        MachineError: the engine would stand still for ever, or a token counter would overflow.
    """
    check(trace, config, side_bytes=side_bytes)
    return run_work(trace, work_of(trace, config), config, memory)


def run_work(trace: Trace, work: Work, config: EngineConfig, memory: MemoryModel) -> Timeline:
    """Return what `run_time` returns of a trace that was checked and whose work is known."""
    times = np.full((4, len(trace)), -1, dtype=np.int64)
    waits = np.zeros((len(trace), 3), dtype=np.int64)
    channels = memory.channels(config)
    queue_depth, burst_beats, side_port = config.control.queue_depth, config.fetch.burst_beats, config.tile.ports
    sizes = (queue_depth, burst_beats, side_port, config.temporary_words)
    state = start_state(1 if memory.are_ports_alike else config.tile.ports, config.fetch.fifo_beats)
    control = state.control
    control[LOADED] = control[EXECUTED] = _loaded(channels, side_port, len(trace.decoded.words))
    control[EXECUTED_SLOT] = -REFILL_CYCLES

    def advance(limit: int) -> None:
        _advance(work, trace.slot, channels, sizes, state, times, waits, limit)

    if memory.kind is MemoryKind.IDEAL:
        run_repeats(trace, work, state, times, waits, queue_depth=queue_depth, burst_beats=burst_beats, advance=advance)
    advance(len(trace))
    refuse_overflow(trace, work, times)
    if control[DONE] < len(trace):
        refuse_standstill(trace, work, times)
    end = max(control[EXECUTED] + trace.end_slot - control[EXECUTED_SLOT], control[LAST_RETIRE] + 1)
    return charge(trace, work, config, times, waits, int(control[LOADED]), int(end) + 1)


@compiled_part
def _issue_cycle(index: int, previous: int, partner: np.ndarray, times: np.ndarray) -> int:
    """Return the cycle in which an instruction issues, or -1 while something it waits for is not known.

    `previous` is the unit's instruction before it, which has released the unit, or -1.
    """
    if times[0, index] < 0:
        return -1
    cycle = times[0, index] + 1
    if previous >= 0:
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
def _mover_free(place: int, kind: int, own: int, members: np.ndarray, times: np.ndarray) -> int:
    """Return the first cycle in which responses to come allow the mover's instruction number `place` to issue."""
    behind = 1 if kind != WRITE else MOVER_WRITES
    return times[3, members[own, place - behind]] + 1 if place >= behind else 0


@compiled
def _loaded(model: Channels, side_port: int, words: int) -> int:
    """Return the cycle in which the last word of the program is there."""
    return side_read(model, side_port, 0, words)


@compiled
def _advance(
    work: Work,
    slot: np.ndarray,
    model: Channels,
    sizes: tuple[int, ...],
    state: State,
    times: np.ndarray,
    waits: np.ndarray,
    limit: int,
) -> None:
    """Take the run as far as it comes with the instructions before number `limit`: fill `times` and `waits`, change `state`."""
    unit, amount, partner, members, rank, _ = work
    queue_depth, burst_beats, side_port, temporary_words = sizes
    control, next_of, active, streams, matrix, vector, earliest, arrival, ready, pops = state
    executed, executed_slot, last_retire = control[EXECUTED], control[EXECUTED_SLOT], control[LAST_RETIRE]
    answered, dispatched, done = control[ANSWERED], control[DISPATCHED], control[DONE]
    # Control goes on only after a unit has.
    moved = True
    while moved and done < limit:
        moved = False
        while dispatched < limit:
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
        for own in range(4):
            while next_of[own] < members.shape[1] and members[own, next_of[own]] >= 0:
                place = next_of[own]
                index = members[own, place]
                if not active[own]:
                    issue = _issue_cycle(index, members[own, place - 1] if place else -1, partner, times)
                    if issue < 0:
                        break
                    if own == _MOVER:
                        issue = max(issue, _mover_free(place, amount[index, 0], own, members, times))
                    times[1, index] = issue
                    moved = True
                    active[own] = 1
                    if own == _FETCH:
                        streams[OFFSET], streams[REMAINING], streams[LAST] = amount[index, 0], amount[index, 1], issue
                        for port in range(len(earliest)):
                            earliest[port] = issue + 1
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
                    ended = compute.advance_matrix(matrix, streams, amount, index, ready, pops, waits)
                    moved = moved or waits[index, 0] != taken
                    if not ended:
                        break
                    release = matrix[compute.BUSY_UNTIL]
                    retire = release + amount[index, 4] + MATRIX_LATENCY + EPILOGUE_LATENCY
                elif own == _VECTOR:
                    release, retire = compute.advance_vector(vector, amount, index, issue, temporary_words)
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
    control[EXECUTED], control[EXECUTED_SLOT], control[LAST_RETIRE] = executed, executed_slot, last_retire
    control[ANSWERED], control[DISPATCHED], control[DONE] = answered, dispatched, done
