"""How a run that cannot end is refused: the instruction that stands still, and the counter that overflows."""

from __future__ import annotations

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.errors import MachineError
from hwsim.machine.time.work import NEVER, Work
from hwsim.machine.trace import Trace

__all__ = ["TOKEN_LIMIT", "refuse_overflow", "refuse_standstill"]

TOKEN_LIMIT = 63
"""Tokens a counter holds."""


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
