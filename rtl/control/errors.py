"""The error register: its codes, and the choice of the error that it keeps."""

import enum

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.control.loops import PC_BITS

__all__ = ["ErrorCode", "ErrorRegister"]


class ErrorCode(enum.IntEnum):
    """What stopped the engine; bits 0-7 of the error register."""

    BAD_CHECK = 1
    BAD_OPCODE = 2
    DEEP_LOOP = 3
    READ_RESPONSE = 4
    WRITE_RESPONSE = 5
    WATCHDOG = 6
    TOKEN_OVERFLOW = 7


_DETAILS = {
    ErrorCode.BAD_CHECK: "pc",
    ErrorCode.BAD_OPCODE: "pc",
    ErrorCode.DEEP_LOOP: "pc",
    ErrorCode.READ_RESPONSE: "port",
    ErrorCode.WATCHDOG: "pc",
    ErrorCode.TOKEN_OVERFLOW: "pair",
}


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
                detail = getattr(self, _DETAILS[code]) if code in _DETAILS else 0
                m.d.comb += [found[:8].eq(code), found[8:].eq(detail)]
        m.d.comb += self.raised.eq(Cat(conditions.values()).any())
        with m.If(self.start):
            m.d.sync += self.value.eq(0)
        with m.Elif(self.raised & (self.value == 0)):
            m.d.sync += self.value.eq(found)
        return m
