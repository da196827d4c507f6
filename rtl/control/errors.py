"""The error register, which keeps the first error of a run, and the watchdog, which expires when nothing happens."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.registers import ErrorCode
from rtl.control.sequencer import PC_BITS

__all__ = ["ErrorRegister", "Watchdog"]


class ErrorRegister(wiring.Component):
    """Keeps the first error since `start` in `value`; of several in one cycle, the lowest code.

    Each code has an input. `raised` is one in the cycle after one of them, and `value` holds it from the next one on: the search
    for the lowest code is a step of its own.
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
        happened = {code: Signal(name=f"happened_{code.name.lower()}") for code in ErrorCode}
        details = {name: Signal.like(getattr(self, name), name=f"{name}_then") for name in ("pc", "port", "pair")}
        m.d.comb += self.raised.eq(Cat(happened.values()).any())
        m.d.sync += [flag.eq(getattr(self, code.name.lower()) & ~self.start) for code, flag in happened.items()]
        m.d.sync += [then.eq(getattr(self, name)) for name, then in details.items()]
        found = Signal(32)
        for code in reversed(ErrorCode):
            with m.If(happened[code]):
                m.d.comb += [found[:8].eq(code), found[8:].eq(0 if code.detail is None else details[code.detail])]
        with m.If(self.start):
            m.d.sync += self.value.eq(0)
        with m.Elif(self.value == 0):
            m.d.sync += self.value.eq(found)
        return m


class Watchdog(wiring.Component):
    """Counts from the latest cycle v with `event`, or the one before `active` rose; `expired` is one in v + cycles + 1.

    What it watches is known late in a cycle, so that it looks at it in the next one.
    """

    def __init__(self, *, cycles: int):
        self.cycles = cycles
        super().__init__({"active": In(1), "event": In(1), "expired": Out(1)})

    def elaborate(self, platform):
        m = Module()
        quiet_cycles = Signal(range(self.cycles))
        is_last = Signal(init=self.cycles == 1)
        active, event = (Signal(name=name) for name in ("active", "event"))
        m.d.sync += [active.eq(self.active), event.eq(self.event)]
        with m.If(~active | event):
            m.d.sync += [quiet_cycles.eq(0), is_last.eq(self.cycles == 1)]
        with m.Elif(~is_last):
            m.d.sync += [quiet_cycles.eq(quiet_cycles + 1), is_last.eq(quiet_cycles == self.cycles - 2)]
        m.d.comb += self.expired.eq(active & ~event & is_last)
        return m
