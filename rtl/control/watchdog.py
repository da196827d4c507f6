"""The watchdog, which expires when nothing has happened for a given number of cycles."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Watchdog"]


class Watchdog(wiring.Component):
    """Counts from the latest cycle v with `event`, or the one before `active` rose; `expired` is one in v + cycles."""

    def __init__(self, *, cycles: int):
        self.cycles = cycles
        super().__init__({"active": In(1), "event": In(1), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        quiet_cycles = Signal(range(self.cycles))
        with m.If(~self.active | self.event):
            m.d.sync += quiet_cycles.eq(0)
        with m.Elif(~self.expired):
            m.d.sync += quiet_cycles.eq(quiet_cycles + 1)
        m.d.comb += self.expired.eq(self.active & ~self.event & (quiet_cycles == self.cycles - 1))
        return m
