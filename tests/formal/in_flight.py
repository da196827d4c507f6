"""The law of instructions that retire in order: one, any, is followed from its issue to the cycle after its last end."""

from __future__ import annotations

import dataclasses

from amaranth import Mux, Signal, Value

from hwsim.arch.timing import MOVER_WRITES
from tests.formal.laws import Laws

__all__ = ["InFlight"]

_BITS = 16
"""Bits of a number of ends."""
_MOST_OWED = 1 << (_BITS - 1)
"""More than MOVER_WRITES instructions of at most 4095 ends wait for."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class InFlight:
    """What a follower of one instruction knows.

    Attributes:
        total: instructions that have not retired, counted by what was issued and what retired.
        owed: ends, that is beats of a LOAD or responses to writes, that all of them still wait for.
        is_inside: whether the marked instruction has not retired.
        ahead: instructions that retire before it.
        to_end: ends until its last, those of the ones before it among them.
    """

    total: Signal
    owed: Signal
    is_inside: Signal
    ahead: Signal
    to_end: Signal

    @classmethod
    def follow(cls, laws: Laws, *, issue: Value, beats: Value, end: Value, retire: Value, clear: Value) -> InFlight:
        """Add the follower: in order, an instruction is to retire in the cycle after its last end (`is_on_time`).

        That no more is owed than MOVER_WRITES instructions can wait for is assumed: it follows from the law on their number.
        """
        m = laws.m
        total, ahead = (Signal(range(MOVER_WRITES + 2), name=name) for name in ("total", "ahead"))
        owed, to_end = (Signal(_BITS, name=name) for name in ("owed", "to_end"))
        is_inside = Signal(name="is_inside")
        mark = laws.free("mark")
        m.d.sync += [total.eq(total + issue - retire), owed.eq(owed + Mux(issue, beats, 0) - end)]
        with m.If(is_inside):
            m.d.sync += [to_end.eq(to_end - end), ahead.eq(ahead - retire)]
            with m.If(retire & (ahead == 0)):
                m.d.sync += is_inside.eq(0)
        with m.Elif(issue & mark):
            m.d.sync += [is_inside.eq(1), to_end.eq(owed + beats - end), ahead.eq(total - retire)]
        with m.If(clear):
            m.d.sync += [total.eq(0), owed.eq(0), is_inside.eq(0)]
        laws.assume(owed < _MOST_OWED)
        return cls(total=total, owed=owed, is_inside=is_inside, ahead=ahead, to_end=to_end)

    def is_on_time(self, retire: Value) -> Value:
        """Return whether the marked instruction, if there is one, retires exactly in its cycle."""
        return ~self.is_inside | ((retire & (self.ahead == 0)) == (self.to_end == 0))
