"""The result of the time model: when each instruction ran, with a cause for every cycle of every unit, or why no run ends."""

import dataclasses
import enum

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.compiled import compiled
from hwsim.errors import MachineError
from hwsim.machine.time.work import NEVER, SIDE_BYTES, Work
from hwsim.machine.trace import TOKEN_LIMIT, Trace

__all__ = ["Cause", "Timeline", "charge", "refuse_overflow", "refuse_standstill"]

_UNITS, _MATRIX = len(Unit), int(Unit.MATRIX)


class Cause(enum.IntEnum):
    """What a unit's cycle is charged to; exactly one cause for each cycle of the run.

    Let an instruction of the unit be dispatched at x, issue at t and release the unit at u, and let v be the release
    cycle of the unit's instruction before it (-1 for the first). Cycles v+1 .. u are charged to it: first CONTROL up to
    x; then, up to t-1, what came last: the dependency on the unit whose token that was (of equals the lowest unit), or
    MEMORY where MOVER waits for responses longer than for tokens; the issue cycle t is CONTROL; cycles t+1 .. u are
    COMPUTE, MEMORY or DRAIN. Cycles after the unit's last release are CONTROL.
    """

    COMPUTE = 0
    """MATRIX: a beat, or the second half of one, is consumed; other units: an instruction is at work."""
    MEMORY = 1
    """MATRIX: the next beat cannot be popped yet; MOVER: a response to a write before is missing."""
    DRAIN = 2
    """MATRIX: the beat is there, but the words of the capture before still leave the array; also all cycles of an
    instruction that consumes nothing."""
    ON_FETCH = 3
    """A token of FETCH is missing."""
    ON_MATRIX = 4
    """A token of MATRIX is missing."""
    ON_VECTOR = 5
    """A token of VECTOR is missing."""
    ON_MOVER = 6
    """A token of MOVER is missing."""
    CONTROL = 7
    """Nothing is dispatched: the program loads, the sequencer is busy or held by a full queue, or nothing is left; or
    the instruction issues."""


_CAUSES = len(Cause)
_COMPUTE, _MEMORY, _ON_FETCH, _CONTROL = (int(cause) for cause in (Cause.COMPUTE, Cause.MEMORY, Cause.ON_FETCH, Cause.CONTROL))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """When a program ran; arrays [instructions] of int64, in order of dispatch; cycle 0 as in docs/engine.md section 2.

    Attributes:
        pc, unit: where the instruction lies and what runs it.
        dispatch, issue, release, retire: cycles.
        memory, drain: MATRIX instructions: cycles charged to these causes.
        loaded: cycle of the last beat of the program.
        cycles: cycles of the run.
        causes: int64 [units, causes]; every row sums to `cycles`.
        stream_bytes: bytes read through all stream ports.
        side_read_bytes, side_write_bytes: bytes moved through the side port, the program included.
    """

    pc: np.ndarray
    unit: np.ndarray
    dispatch: np.ndarray
    issue: np.ndarray
    release: np.ndarray
    retire: np.ndarray
    memory: np.ndarray
    drain: np.ndarray
    loaded: int
    cycles: int
    causes: np.ndarray
    stream_bytes: int
    side_read_bytes: int
    side_write_bytes: int

    def cause(self, unit: Unit, cause: Cause) -> int:
        """Return the cycles of a unit charged to a cause."""
        return int(self.causes[unit, cause])


def charge(
    trace: Trace, work: Work, config: EngineConfig, times: np.ndarray, waits: np.ndarray, loaded: int, cycles: int
) -> Timeline:
    """Return the timeline of times [dispatch, issue, release, retire] and matrix waits [beats, memory, drain]."""
    dispatch, issue, release, retire = times
    causes = _causes(work.unit, work.partner, times, waits, cycles)
    beats, loads, written = (int(count) for count in work.moved)
    return Timeline(
        pc=trace.pc,
        unit=work.unit,
        dispatch=dispatch,
        issue=issue,
        release=release,
        retire=retire,
        memory=waits[:, 1],
        drain=waits[:, 2],
        loaded=loaded,
        cycles=cycles,
        causes=causes,
        stream_bytes=beats * config.tile.beat_bytes,
        side_read_bytes=(len(trace.decoded.words) + loads) * SIDE_BYTES,
        side_write_bytes=written,
    )


@compiled
def _causes(unit: np.ndarray, partner: np.ndarray, times: np.ndarray, waits: np.ndarray, cycles: int) -> np.ndarray:
    """Return the cycles of each unit by cause, as `Cause` says."""
    causes = np.zeros((_UNITS, _CAUSES), np.int64)
    free = np.full(_UNITS, -1, np.int64)
    for index in range(len(unit)):
        own = unit[index]
        dispatch, issue, release = times[0, index], times[1, index], times[2, index]
        control = max(0, dispatch - free[own])
        blamed, came = _MEMORY, max(free[own], dispatch)
        for other in range(_UNITS):
            producer = partner[index, other]
            if producer >= 0 and times[3, producer] > came:
                blamed, came = _ON_FETCH + other, times[3, producer]
        if came < issue - 1:
            blamed = _MEMORY
        causes[own, blamed] += issue - 1 - free[own] - control
        causes[own, _CONTROL] += control + 1
        if own == _MATRIX:
            for cause in range(_ON_FETCH):
                causes[own, cause] += waits[index, cause]
        else:
            causes[own, _COMPUTE] += release - issue
        free[own] = release
    for own in range(_UNITS):
        causes[own, _CONTROL] += cycles - 1 - free[own]
    return causes


def refuse_overflow(trace: Trace, work: Work, times: np.ndarray) -> None:
    """Raise MachineError for the first retirement that would bring a token counter above its limit."""
    if not _is_late(trace.distant_tokens, times):
        return
    index, producer, consumer = _first_overflow(work.members, trace.header("wait"), trace.header("signal"), times[1], times[3])
    if index >= 0:
        raise MachineError(
            f"{trace.name(index)} must leave at most {TOKEN_LIMIT} tokens from {Unit(producer).name} to {Unit(consumer).name},"
            f" not {TOKEN_LIMIT + 1}, when it retires in cycle {int(times[3, index])}"
        )


@compiled
def _is_late(distant: np.ndarray, times: np.ndarray) -> bool:
    """Return whether some token is taken after the one that is TOKEN_LIMIT behind it was given, or never."""
    for place in range(distant.shape[1]):
        given, taken = distant[0, place], distant[1, place]
        if taken < 0 or times[1, taken] < 0 or times[1, taken] > times[3, given]:
            return True
    return False


@compiled
def _first_overflow(
    members: np.ndarray, wait: np.ndarray, signal: np.ndarray, issue: np.ndarray, retire: np.ndarray
) -> tuple[int, int, int]:
    """Return (instruction, producer, consumer) of the earliest token above the limit, and -1 first where there is none."""
    first = (-1, -1, -1)
    takes = np.empty(members.shape[1], np.int64)
    for producer in range(_UNITS):
        for consumer in range(_UNITS):
            if producer == consumer:
                continue
            taken, added, gone = 0, 0, 0
            for index in members[consumer]:
                if index >= 0 and wait[index] >> producer & 1 and issue[index] >= 0:
                    takes[taken] = issue[index]
                    taken += 1
            for index in members[producer]:
                if index < 0 or not signal[index] >> consumer & 1 or retire[index] < 0:
                    continue
                added += 1
                # Retirements of a unit need not be in order.
                while gone < taken and takes[gone] <= retire[index]:
                    gone += 1
                while gone > 0 and takes[gone - 1] > retire[index]:
                    gone -= 1
                if added - gone > TOKEN_LIMIT:
                    cycle = retire[first[0]] if first[0] >= 0 else retire[index] + 1
                    if retire[index] < cycle or (retire[index] == cycle and index < first[0]):
                        first = (index, producer, consumer)
                    break
    return first


def refuse_standstill(trace: Trace, work: Work, times: np.ndarray) -> None:
    """Raise MachineError naming the oldest instruction that never retires and what it waits for."""
    dispatch, issue, _, retire = times
    index = int(np.flatnonzero(retire < 0)[0])
    unit = Unit(int(work.unit[index]))
    if dispatch[index] < 0:
        reason = f"room in the queue of {unit.name}"
    elif issue[index] < 0:
        reason = "a token from " + " and ".join(
            Unit(other).name
            for other, partner in enumerate(work.partner[index])
            if partner == NEVER or (partner >= 0 and retire[partner] < 0)
        )
    elif unit is Unit.FETCH:
        reason = "room in the stream FIFOs"
    else:
        reason = "beats of the streams"
    raise MachineError(f"{trace.name(index)} must retire, but {unit.name} waits for {reason} for ever")
