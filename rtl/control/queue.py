"""The queue between dispatch and one unit: what is pushed in a cycle is at the head from the next one on."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import COMMAND, address_bits, flags

__all__ = ["CommandQueue", "HeadQueue"]


class HeadQueue(wiring.Component):
    """`depth` entries of a shape, in order; a push and a pop change `full`, `head` and `head_valid` from the next cycle on.

    Pushing while `full` and popping while not `head_valid` are not allowed. All outputs come from registers: units decide
    on the head in the cycle in which it appears.
    """

    def __init__(self, *, shape: ShapeLike, depth: int):
        self.shape, self.depth = shape, depth
        super().__init__(
            {**flags(In, "push", "pop", "clear"), "entry": In(shape), "full": Out(1), "head": Out(shape), "head_valid": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.entries = entries = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        write, read = entries.write_port(), entries.read_port(domain="comb")
        level = Signal(range(self.depth + 1))
        # There are entries behind the head, the first of them at `second_index`.
        has_second = Signal()
        write_index = Signal(address_bits(self.depth))
        second_index = Signal(address_bits(self.depth), init=1)
        m.d.comb += [write.en.eq(self.push), write.addr.eq(write_index), write.data.eq(self.entry), read.addr.eq(second_index)]
        with m.If(self.pop | ~self.head_valid):
            m.d.sync += [self.head.eq(Mux(has_second, read.data, self.entry)), self.head_valid.eq(has_second | self.push)]
        # The depth is a power of two, so the indices wrap by themselves.
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(self.pop):
            m.d.sync += second_index.eq(second_index + 1)
        with m.If(self.push & ~self.pop):
            m.d.sync += [level.eq(level + 1), self.full.eq(level == self.depth - 1), has_second.eq(self.head_valid)]
        with m.Elif(self.pop & ~self.push):
            m.d.sync += [level.eq(level - 1), self.full.eq(0), has_second.eq(level > 2)]
        with m.If(self.clear):
            m.d.sync += [
                level.eq(0),
                write_index.eq(0),
                second_index.eq(1),
                self.full.eq(0),
                has_second.eq(0),
                self.head_valid.eq(0),
            ]
        return m


class CommandQueue(HeadQueue):
    """A queue of `depth` commands."""

    def __init__(self, *, depth: int):
        super().__init__(shape=COMMAND, depth=depth)
