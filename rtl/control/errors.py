"""The error register: which error of a run it keeps."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.registers import ErrorCode
from rtl.control.loops import PC_BITS

__all__ = ["ErrorRegister"]


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
