"""The queue between dispatch and one unit: what is pushed in a cycle is at the head from the next one on."""

from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import COMMAND, address_bits, flags

__all__ = ["CommandQueue"]


class CommandQueue(wiring.Component):
    """`depth` commands, in order; a push and a pop change `full` and `head_valid` from the next cycle on.

    Pushing while `full` and popping while not `head_valid` are not allowed.
    """

    def __init__(self, *, depth: int):
        self.depth = depth
        super().__init__(
            {**flags(In, "push", "pop", "clear"), "entry": In(COMMAND), "full": Out(1), "head": Out(COMMAND), "head_valid": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.entries = entries = memory.Memory(shape=COMMAND, depth=self.depth, init=[])
        write, read = entries.write_port(), entries.read_port(domain="comb")
        level = Signal(range(self.depth + 1))
        write_index, read_index = (Signal(address_bits(self.depth), name=f"{name}_index") for name in ("write", "read"))
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(write_index),
            write.data.eq(self.entry),
            read.addr.eq(read_index),
            self.head.eq(read.data),
            self.head_valid.eq(level != 0),
            self.full.eq(level == self.depth),
        ]
        # The depth is a power of two, so the indices wrap by themselves.
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(self.pop):
            m.d.sync += read_index.eq(read_index + 1)
        with m.If(self.push & ~self.pop):
            m.d.sync += level.eq(level + 1)
        with m.Elif(self.pop & ~self.push):
            m.d.sync += level.eq(level - 1)
        with m.If(self.clear):
            m.d.sync += [level.eq(0), write_index.eq(0), read_index.eq(0)]
        return m
