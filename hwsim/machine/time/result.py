"""The result of the time model: when each instruction ran, with a cause for every cycle of every unit, or why no run ends."""

import dataclasses
import enum

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Append
from hwsim.errors import MachineError
from hwsim.machine.time.work import NEVER, WRITE, Work
from hwsim.machine.trace import Trace

__all__ = ["TOKEN_LIMIT", "Cause", "Timeline", "charge", "refuse_overflow", "refuse_standstill"]

_SIDE_BYTES = 16
_PARAMETER_BYTES = 4
TOKEN_LIMIT = 63
"""Tokens a counter holds."""


class Cause(enum.IntEnum):
    """What a unit's cycle is charged to; exactly one cause for each cycle of the run.

    Let an instruction of the unit be dispatched at x, issue at t and release the unit at u, and let v be the release
    cycle of the unit's instruction before it (-1 for the first). Cycles v+1 .. u are charged to it: first CONTROL up to
    x; then, up to t-1, the dependency on the unit whose token came last (of equals the lowest unit); the issue cycle t
    is CONTROL; cycles t+1 .. u are COMPUTE, MEMORY or DRAIN. Cycles after the unit's last release are CONTROL.
    """

    COMPUTE = 0
    """MATRIX: a beat, or the second half of one, is consumed; other units: an instruction is at work."""
    MEMORY = 1
    """MATRIX: the next beat cannot be popped yet."""
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
    causes = np.zeros((len(Unit), len(Cause)), dtype=np.int64)
    for unit in Unit:
        mine = np.flatnonzero(work.unit == unit)
        before = np.concatenate([[-1], release[mine][:-1]])
        control = np.maximum(0, dispatch[mine] - before)
        waited = issue[mine] - 1 - before - control
        partner = work.partner[mine]
        came = np.where(partner >= 0, retire[partner], -1)
        blamed = came.argmax(axis=1) if len(mine) else came[:, 0]
        for other in Unit:
            causes[unit, Cause.ON_FETCH + other] = waited[blamed == other].sum()
        if unit == Unit.MATRIX:
            causes[unit, : Cause.ON_FETCH] = waits[mine].sum(axis=0)
        else:
            causes[unit, Cause.COMPUTE] = (release[mine] - issue[mine]).sum()
        idle = cycles - 1 - (int(release[mine[-1]]) if len(mine) else -1)
        causes[unit, Cause.CONTROL] = control.sum() + len(mine) + idle
    mover = work.unit == Unit.MOVER
    written = work.amount[mover & (work.amount[:, 0] == WRITE), 1].sum() * _SIDE_BYTES
    written -= len(trace.rows_of(Append)) * (_SIDE_BYTES - _PARAMETER_BYTES)
    loads = work.amount[mover & (work.amount[:, 0] != WRITE), 1].sum()
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
        stream_bytes=int(work.amount[work.unit == Unit.FETCH, 1].sum()) * config.tile.beat_bytes,
        side_read_bytes=(len(trace.decoded.words) + int(loads)) * _SIDE_BYTES,
        side_write_bytes=int(written),
    )


def refuse_overflow(trace: Trace, work: Work, times: np.ndarray) -> None:
    """Raise MachineError for the first retirement that would bring a token counter above its limit."""
    issue, retire = times[1], times[3]
    wait, signal = trace.header("wait"), trace.header("signal")
    first: tuple[int, int, Unit, Unit] | None = None
    for producer in Unit:
        for consumer in Unit:
            if producer == consumer:
                continue
            adds = np.flatnonzero((work.unit == producer) & (signal >> consumer & 1 == 1) & (retire >= 0))
            if len(adds) <= TOKEN_LIMIT:
                continue
            takes = issue[np.flatnonzero((work.unit == consumer) & (wait >> producer & 1 == 1) & (issue >= 0))]
            level = np.arange(1, len(adds) + 1) - np.searchsorted(takes, retire[adds], side="right")
            over = np.flatnonzero(level > TOKEN_LIMIT)
            if len(over):
                index = int(adds[over[0]])
                found = (int(retire[index]), index, producer, consumer)
                first = found if first is None else min(first, found)
    if first is not None:
        cycle, index, producer, consumer = first
        raise MachineError(
            f"{trace.name(index)} must leave at most {TOKEN_LIMIT} tokens from {producer.name} to {consumer.name},"
            f" not {TOKEN_LIMIT + 1}, when it retires in cycle {cycle}"
        )


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
