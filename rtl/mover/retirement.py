"""The instructions of the mover that have not retired, and the beats or responses that the oldest still waits for."""

from amaranth import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.isa import Load
from hwsim.arch.timing import MOVER_WRITES

__all__ = ["Retirement"]


class Retirement(wiring.Component):
    """Retires instructions in order, each in the cycle after its last beat or response.

    Members:
        issue, beats: an instruction begins; what it waits for. has_room: one more may.
        ends: a beat of a LOAD or the response to a write; they come in the order of the instructions.
        retire: the oldest retires. busy: some instruction has not retired. clear: forget all.
    """

    issue: In(1)
    beats: In(Load.field("beats").width)
    has_room: Out(1)
    ends: In(1)
    retire: Out(1)
    busy: Out(1)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        counts = Array(Signal.like(self.beats, name=f"count_{place}", reset_less=True) for place in range(MOVER_WRITES))
        newest, oldest = (Signal(range(MOVER_WRITES), name=name) for name in ("newest", "oldest"))
        in_flight = Signal(range(MOVER_WRITES + 1))
        left = Signal.like(self.beats)
        m.d.comb += [
            self.busy.eq(in_flight != 0),
            self.has_room.eq(in_flight != MOVER_WRITES),
            self.retire.eq(self.busy & (left == 0)),
        ]
        m.d.sync += in_flight.eq(in_flight + self.issue - self.retire)
        with m.If(self.ends):
            m.d.sync += left.eq(left - 1)
        with m.If(self.retire):
            m.d.sync += [oldest.eq(oldest + 1), left.eq(counts[(oldest + 1)[: len(oldest)]] - self.ends)]
        with m.If(self.issue):
            m.d.sync += [counts[newest].eq(self.beats), newest.eq(newest + 1)]
            with m.If(in_flight == self.retire):
                m.d.sync += left.eq(self.beats)
        with m.If(self.clear):
            m.d.sync += [in_flight.eq(0), newest.eq(0), oldest.eq(0)]
        return m
