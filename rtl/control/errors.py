"""The error register, which keeps the first error of a run, and the watchdog, which expires when nothing happens."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.registers import ErrorCode
from rtl.control.sequencer import PC_BITS

__all__ = ["ErrorRegister", "Watchdog"]


class ErrorRegister(wiring.Component):
    """Keeps the first error since `start` in `value`; of several in one cycle, the lowest code.

    `raised` is one in the cycle of an error, `value` holds it from the next on.
    """

    def __init__(self):
        super().__init__(
            {
                **{code.name.lower(): In(1) for code in ErrorCode},
                "pc": In(PC_BITS),
                "port": In(8),
                "pair": In(4),
                "start": In(1),
                "raised": Out(1),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        conditions = {code: getattr(self, code.name.lower()) for code in ErrorCode}
        found = Signal(32)
        for code in reversed(ErrorCode):
            with m.If(conditions[code]):
                detail = 0 if code.detail is None else getattr(self, code.detail)
                m.d.comb += [found[:8].eq(code), found[8:].eq(detail)]
        m.d.comb += self.raised.eq(Cat(conditions.values()).any())
        with m.If(self.start):
            m.d.sync += self.value.eq(0)
        with m.Elif(self.raised & (self.value == 0)):
            m.d.sync += self.value.eq(found)
        return m


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
