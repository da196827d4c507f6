"""The token counters between units, which decide which queue heads may issue."""

from amaranth import Cat, Module, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.fields import HEADER, Unit
from hwsim.arch.timing import EPILOGUE_LATENCY, MATRIX_LATENCY
from rtl.control.queue import HeadQueue

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
        # Never full (see the depth).
        m.submodules.masks = masks = HeadQueue(shape=len(self.mask), depth=self.depth)
        m.d.comb += [
            masks.push.eq(self.push),
            masks.entry.eq(self.mask),
            masks.pop.eq(self.pop),
            masks.clear.eq(self.clear),
            self.head.eq(masks.head),
            self.empty.eq(~masks.head_valid),
        ]
        return m


class Scoreboard(wiring.Component):
    """Token counters of all ordered pairs of different units.

    `wait` and `signal` are the masks of the queue heads, `granted` (bit Unit) says that a head's tokens are there;
    `issue` takes them. `idle` says that no unit has an instruction under way. Mask bits for the unit itself are ignored.
    `overflow` is one in the cycle after a retirement gave a counter more than TOKEN_LIMIT tokens, and `overflow_pair` says which.
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

        overflows = []
        for consumer in Unit:
            there: list[Value] = []
            for producer in Unit:
                if producer == consumer:
                    continue
                count = Signal(range(TOKEN_LIMIT + 1), name=f"tokens_{producer.name.lower()}_{consumer.name.lower()}")
                # Equal `count != 0` and `count == TOKEN_LIMIT`, but come from registers: heads issue in the cycle they appear.
                is_some, is_most = (Signal(name=f"{name}_{count.name}") for name in ("some", "most"))
                there.append(~self.wait[consumer][producer] | is_some)
                give = self.retire[producer] & masks[producer].head[consumer]
                take = self.issue[consumer] & self.wait[consumer][producer]
                # A token is too many where none is taken, which is known last: both are told in the next cycle.
                is_given, is_taken = (Signal(name=f"{name}_{count.name}") for name in ("given", "taken"))
                m.d.sync += [is_given.eq(give & is_most & ~self.clear), is_taken.eq(take)]
                overflows.append(is_given & ~is_taken)
                with m.If(overflows[-1]):
                    m.d.comb += self.overflow_pair.eq(producer * 4 + consumer)
                with m.If(give & ~take):
                    with m.If(~is_most):
                        m.d.sync += [count.eq(count + 1), is_some.eq(1), is_most.eq(count == TOKEN_LIMIT - 1)]
                with m.Elif(take & ~give):
                    m.d.sync += [count.eq(count - 1), is_some.eq(count > 1), is_most.eq(0)]
                with m.If(self.clear):
                    m.d.sync += [count.eq(0), is_some.eq(0), is_most.eq(0)]
            m.d.comb += self.granted[consumer].eq(Cat(there).all())
        m.d.comb += self.overflow.eq(Cat(overflows).any())
        return m
