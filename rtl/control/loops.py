"""The hardware loops: a stack of bodies, the innermost on top, that says where the program counter goes next."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.isa import Loop

__all__ = ["LOOP_DEPTH", "PC_BITS", "LoopStack"]

LOOP_DEPTH = 4
"""Loops that can be open at once."""
PC_BITS = 14
"""Bits of a program counter: the largest program memory and the longest body beyond it fit."""

_BODY = data.StructLayout({"start": PC_BITS, "end": PC_BITS, "remaining": Loop.field("count").width})


class LoopStack(wiring.Component):
    """Open loops.

    `advance` says that the instruction at `pc` executes and `next_pc` where to go on; with `push` that instruction is
    a Loop with `count` and `length`. `at_end`: the instruction at `pc`, unless it is a Loop, ends the innermost body.
    `full` says that one more push would not fit.
    """

    def __init__(self):
        super().__init__(
            {
                "pc": In(PC_BITS),
                "advance": In(1),
                "push": In(1),
                "count": In(Loop.field("count").width),
                "length": In(Loop.field("length").width),
                "next_pc": Out(PC_BITS),
                "at_end": Out(1),
                "full": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # The top is always element 0, so that the comparison with `end` needs no multiplexer.
        stack = [Signal(_BODY, name=f"body_{level}") for level in range(LOOP_DEPTH)]
        depth = Signal(range(LOOP_DEPTH + 1))
        top = stack[0]
        following = Signal(PC_BITS)
        m.d.comb += [
            following.eq(self.pc + 1),
            self.next_pc.eq(following),
            self.at_end.eq((depth != 0) & (self.pc == top.end)),
            self.full.eq(depth == LOOP_DEPTH),
        ]
        with m.If(self.advance):
            with m.If(self.push):
                m.d.sync += [
                    top.start.eq(following),
                    top.end.eq(self.pc + self.length),
                    top.remaining.eq(self.count),
                    depth.eq(depth + 1),
                ]
                m.d.sync += [below.eq(above) for above, below in zip(stack, stack[1:], strict=False)]
            with m.Elif(self.at_end):
                with m.If(top.remaining > 1):
                    m.d.sync += top.remaining.eq(top.remaining - 1)
                    m.d.comb += self.next_pc.eq(top.start)
                with m.Else():
                    m.d.sync += depth.eq(depth - 1)
                    m.d.sync += [above.eq(below) for above, below in zip(stack, stack[1:], strict=False)]
        with m.If(self.clear):
            m.d.sync += depth.eq(0)
        return m
