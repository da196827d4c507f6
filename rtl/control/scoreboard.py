"""The token counters between units, which decide which queue heads may issue."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.fields import HEADER, Unit
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY

__all__ = ["TOKEN_LIMIT", "Scoreboard", "SignalMasks"]

TOKEN_LIMIT = 63
"""Most tokens a counter holds."""

# The matrix unit issues at most every second cycle and retires each instruction MATRIX_LATENCY + EPILOGUE_LATENCY
# cycles after its last drained word; a power of two above that many cycles exceeds the instructions that can be in flight.
_IN_FLIGHT = 1 << (MATRIX_LATENCY + EPILOGUE_LATENCY + 4).bit_length()


class SignalMasks(wiring.Component):
    """Signal masks of a unit's instructions under way, in order: pushed at issue, popped at retirement."""

    def __init__(self, *, depth: int):
        self.depth = depth
        width = HEADER["signal"][1]
        super().__init__({"push": In(1), "mask": In(width), "pop": In(1), "head": Out(width), "empty": Out(1), "clear": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.masks = masks = memory.Memory(shape=len(self.mask), depth=self.depth, init=[])
        write, read = masks.write_port(), masks.read_port(domain="comb")
        write_index, read_index = (Signal(range(self.depth), name=name) for name in ("write_index", "read_index"))
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(write_index),
            write.data.eq(self.mask),
            read.addr.eq(read_index),
            self.head.eq(read.data),
            # Never full (see the depth), so equal indices mean empty.
            self.empty.eq(write_index == read_index),
        ]
        with m.If(self.push):
            m.d.sync += write_index.eq(write_index + 1)
        with m.If(self.pop):
            m.d.sync += read_index.eq(read_index + 1)
        with m.If(self.clear):
            m.d.sync += [write_index.eq(0), read_index.eq(0)]
        return m


class Scoreboard(wiring.Component):
    """Token counters of all ordered pairs of different units.

    `wait` and `signal` are the masks of the queue heads, `granted` (bit Unit) says that a head's tokens are there;
    `issue` takes them. `idle` says that no unit has an instruction under way. Mask bits for the unit itself are ignored.
    """

    wait: In(data.ArrayLayout(len(Unit), len(Unit)))
    signal: In(data.ArrayLayout(len(Unit), len(Unit)))
    granted: Out(len(Unit))
    issue: In(len(Unit))
    retire: In(len(Unit))
    idle: Out(1)
    overflow: Out(1)
    overflow_pair: Out(4)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        masks = {}
        for unit in Unit:
            m.submodules[f"masks_{unit.name.lower()}"] = fifo = SignalMasks(depth=_IN_FLIGHT)
            masks[unit] = fifo
            m.d.comb += [
                fifo.push.eq(self.issue[unit]),
                fifo.mask.eq(self.signal[unit]),
                fifo.pop.eq(self.retire[unit]),
                fifo.clear.eq(self.clear),
            ]
        m.d.comb += self.idle.eq(Cat(fifo.empty for fifo in masks.values()).all())

        for consumer in Unit:
            there = []
            for producer in Unit:
                if producer == consumer:
                    continue
                count = Signal(range(TOKEN_LIMIT + 1), name=f"tokens_{producer.name.lower()}_{consumer.name.lower()}")
                there.append(~self.wait[consumer][producer] | (count != 0))
                give = self.retire[producer] & masks[producer].head[consumer]
                take = self.issue[consumer] & self.wait[consumer][producer]
                with m.If(give & ~take):
                    with m.If(count == TOKEN_LIMIT):
                        m.d.comb += [self.overflow.eq(1), self.overflow_pair.eq(producer * 4 + consumer)]
                    with m.Else():
                        m.d.sync += count.eq(count + 1)
                with m.Elif(take & ~give):
                    m.d.sync += count.eq(count - 1)
                with m.If(self.clear):
                    m.d.sync += count.eq(0)
            m.d.comb += self.granted[consumer].eq(Cat(there).all())
        return m
