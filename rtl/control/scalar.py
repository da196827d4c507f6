"""The sixteen scalar registers and the functions that change them."""

from amaranth import Array, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.fields import HEADER
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, REGISTERS, Function, Scalar
from rtl.command import COMMAND, field

__all__ = ["ScalarRegisters"]


class ScalarRegisters(wiring.Component):
    """Registers; `operand` holds those that the operand slots of `word` name.

    `execute` in cycle x runs the Scalar in `word`; its result is in the register from x + 2 on, before the
    next instruction can execute (x + 3). `start` loads the arguments and zeroes the rest.
    """

    def __init__(self):
        super().__init__(
            {
                "word": In(COMMAND["word"].shape),
                "operand": Out(data.ArrayLayout(32, 3)),
                "execute": In(1),
                "start": In(1),
                "position": In(32),
                "slot": In(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        registers = Array(Signal(32, name=f"register_{number}") for number in range(REGISTERS))
        for slot in range(3):
            offset, width = HEADER[f"register{slot}"]
            m.d.comb += self.operand[slot].eq(registers[self.word[offset : offset + width]])

        command = Signal(COMMAND)
        m.d.comb += command.word.eq(self.word)
        a, b, limit, result = (Signal(32, name=name) for name in ("a", "b", "limit", "result"))
        function = Signal(Scalar.field("function").width)
        target = Signal(Scalar.field("target").width)
        executed = Signal()
        # Two steps: sums first, then the function, so that the product does not wait for the sum in the same cycle.
        m.d.sync += [
            executed.eq(self.execute),
            a.eq(self.operand[0]),
            b.eq(self.operand[1] + field(command, Scalar, "immediate")),
            limit.eq(field(command, Scalar, "limit")),
            function.eq(field(command, Scalar, "function")),
            target.eq(field(command, Scalar, "target")),
        ]
        a_is_less = a.as_signed() < b.as_signed()
        with m.Switch(function):
            with m.Case(Function.ADD):
                m.d.comb += result.eq(a + b)
            with m.Case(Function.SUB):
                m.d.comb += result.eq(a - b)
            with m.Case(Function.MIN, Function.MAX):
                with m.If(a_is_less == (function == Function.MIN)):
                    m.d.comb += result.eq(a)
                with m.Else():
                    m.d.comb += result.eq(b)
            with m.Case(Function.MUL):
                m.d.comb += result.eq(a * b)
            with m.Case(Function.SHR):
                m.d.comb += result.eq(a >> b[:5])
            with m.Case(Function.WRAP):
                with m.If(a == limit):
                    m.d.comb += result.eq(b)
                with m.Else():
                    m.d.comb += result.eq(a)
            with m.Default():
                m.d.comb += result.eq(a)
        with m.If(executed & (target != 0)):
            m.d.sync += registers[target].eq(result)
        with m.If(self.start):
            m.d.sync += [register.eq(0) for register in registers]
            m.d.sync += registers[REGISTER_POSITION].eq(self.position)
            m.d.sync += registers[REGISTER_SLOT].eq(self.slot)
        return m
