"""The reader of the side port: bursts of a program or of a LOAD, one after the other, beats always taken."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.axi import ADDRESS_BITS, WRITE_BEAT_BITS, AxiReadSignature

__all__ = ["BEATS_BITS", "SideReader"]

BEATS_BITS = 13
"""Bits of a number of beats: the largest program."""
_BEAT_BYTES = WRITE_BEAT_BITS // 8


class SideReader(wiring.Component):
    """Reads `beats` 16-byte beats from `address`, which is 1 KiB aligned so that no burst crosses 4 KiB.

    Started in cycle t, `arvalid` is up from t + 1 on. `valid` and `data` are the port's own, in the cycle a beat
    arrives; `last` marks the last beat. `stop` starts no further burst; `quiet`: nothing is offered or outstanding.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "address": In(ADDRESS_BITS),
                "beats": In(BEATS_BITS),
                "axi": Out(AxiReadSignature(WRITE_BEAT_BITS)),
                "valid": Out(1),
                "data": Out(WRITE_BEAT_BITS),
                "last": Out(1),
                "error": Out(1),
                "stop": In(1),
                "clear": In(1),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axi = self.axi
        to_ask, to_come, outstanding = (Signal(BEATS_BITS, name=name) for name in ("to_ask", "to_come", "outstanding"))
        offered = Signal()
        length = Signal(range(SIDE_BURST_BEATS + 1))
        accepted = Signal()
        m.d.comb += [
            length.eq(Mux(to_ask > SIDE_BURST_BEATS, SIDE_BURST_BEATS, to_ask)),
            # An address once offered stays until it is accepted, also when stopped.
            axi.arvalid.eq((to_ask != 0) & (~self.stop | offered)),
            axi.arlen.eq(length - 1),
            axi.rready.eq(1),
            accepted.eq(axi.arvalid & axi.arready),
            self.valid.eq(axi.rvalid),
            self.data.eq(axi.rdata),
            self.last.eq(to_come == 1),
            self.error.eq(axi.rvalid & axi.rresp[1]),
            self.quiet.eq(~offered & (outstanding == 0) & ((to_ask == 0) | self.stop)),
        ]
        m.d.sync += [offered.eq(axi.arvalid & ~axi.arready), outstanding.eq(outstanding + Mux(accepted, length, 0) - axi.rvalid)]
        with m.If(accepted):
            m.d.sync += [to_ask.eq(to_ask - length), axi.araddr.eq(axi.araddr + SIDE_BURST_BEATS * _BEAT_BYTES)]
        with m.If(axi.rvalid):
            m.d.sync += to_come.eq(to_come - 1)
        with m.If(self.start):
            m.d.sync += [axi.araddr.eq(self.address), to_ask.eq(self.beats), to_come.eq(self.beats)]
        with m.If(self.clear):
            # The bus is quiet by then; only what was never asked for is forgotten.
            m.d.sync += [to_ask.eq(0), to_come.eq(0)]
        return m
