"""Which lanes of a score word hold valid scores: a sink region, then a ring region, each valid up to a count."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ScoreMask"]

_COUNT_BITS = 32


class ScoreMask(wiring.Component):
    """`mask` is that of the word for which `valid` was high in the cycle before; `begin` starts a row in that same cycle.

    So the first word's `valid` is high a cycle after `begin`, when the next row may begin. `sink_words`, `sinks` and
    `ring` count with `begin`.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__(
            {
                "begin": In(1),
                "valid": In(1),
                "sink_words": In(8),
                "sinks": In(_COUNT_BITS),
                "ring": In(_COUNT_BITS),
                "mask": Out(lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words_left = Signal(8, reset_less=True)
        sinks_left = Signal(_COUNT_BITS, reset_less=True)
        ring_left = Signal(_COUNT_BITS, reset_less=True)
        in_ring = words_left == 0
        left = Mux(in_ring, ring_left, sinks_left)
        following = Mux(left > self.lanes, left - self.lanes, 0)
        m.d.sync += [self.mask[lane].eq(left > lane) for lane in range(self.lanes)]
        with m.If(self.begin):
            m.d.sync += [words_left.eq(self.sink_words), sinks_left.eq(self.sinks), ring_left.eq(self.ring)]
        with m.Elif(self.valid):
            with m.If(in_ring):
                m.d.sync += ring_left.eq(following)
            with m.Else():
                m.d.sync += [sinks_left.eq(following), words_left.eq(words_left - 1)]
        return m
