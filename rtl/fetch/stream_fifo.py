"""The FIFO behind one port: beats become poppable a fixed number of cycles after they arrive, one a cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.timing import FIFO_LATENCY
from rtl.ram import URAM_WORDS, Ram

__all__ = ["StreamFifo"]


class StreamFifo(wiring.Component):
    """`depth` beats of `width` bits; a beat pushed in cycle c is poppable from c + FIFO_LATENCY on.

    `head` is the oldest beat while `ready` is up; `pop` takes it. The pusher keeps count: there is no full flag.
    """

    def __init__(self, *, depth: int, width: int):
        # A write, then a read of the memory: two cycles at least.
        assert FIFO_LATENCY >= 2
        self.depth, self.width = depth, width
        super().__init__({"push": In(1), "push_data": In(width), "head": Out(width), "ready": Out(1), "pop": In(1), "clear": In(1)})

    def elaborate(self, platform):
        m = Module()
        style = "ultra" if self.depth >= URAM_WORDS else "block"
        m.submodules.memory = memory = Ram(depth=self.depth, lanes=1, lane_bits=self.width, style=style)
        write_index = Signal(range(self.depth))
        read_index = Signal(range(self.depth))
        m.d.comb += [
            memory.write_enable.eq(self.push),
            memory.write_address.eq(write_index),
            memory.write_data.eq(self.push_data),
            memory.read_address.eq(read_index + self.pop),
            self.head.eq(memory.read_data),
        ]
        m.d.sync += read_index.eq(read_index + self.pop)
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)

        arrived = self.push
        for stage in range(FIFO_LATENCY - 1):
            later = Signal(name=f"arrived_{stage}")
            m.d.sync += later.eq(arrived & ~self.clear)
            arrived = later
        level = Signal(range(self.depth + 1))
        m.d.sync += [
            level.eq(level + arrived - self.pop),
            # Equals `level != 0`, but comes from a register, because one gate combines it with those of all ports.
            self.ready.eq(arrived | Mux(self.pop, level > 1, level > 0)),
        ]
        with m.If(self.clear):
            m.d.sync += [level.eq(0), self.ready.eq(0), read_index.eq(0), write_index.eq(0)]
        return m
