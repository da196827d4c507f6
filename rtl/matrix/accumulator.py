"""The accumulator of a row's sums of products: scaled, with what belongs to the sum of the inputs, in one or two DSPs."""

from amaranth import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.dsp import ADD_CASCADE, ADD_NOTHING, ADD_OWN_TOO, Dsp
from rtl.interfaces import flags

__all__ = ["OFFSET", "SUM_BITS", "RowAccumulator"]

SUM_BITS = 14
"""A signed sum of 32 activations."""
OFFSET = signed(13)
"""What the sum of the inputs is multiplied by."""


class RowAccumulator(wiring.Component):
    """Adds row * scale + sum * offset up, modulo 2**32.

    Members:
        row, scale: a sum of `bits` bits, and what it is multiplied by.
        sum, offset: the sum of the inputs, and what it is multiplied by; not there without `has_offset`.
        first: whether the row of two cycles before is the first to be added. compute: whether that of three cycles before is added.
        total: the sum, LATENCY cycles after the row.
    """

    LATENCY = 4

    def __init__(self, bits: int, *, has_offset: bool):
        self.has_offset = has_offset
        offset = {"sum": In(signed(SUM_BITS)), "offset": In(OFFSET)} if has_offset else {}
        super().__init__({"row": In(signed(bits)), "scale": In(8), **offset, **flags(In, "compute", "first"), "total": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.scaled = scaled = Dsp(2, has_below=self.has_offset)
        added = ADD_NOTHING
        if self.has_offset:
            m.submodules.shifted = shifted = Dsp(1)
            m.d.comb += [shifted.a.eq(self.sum), shifted.b.eq(self.offset), shifted.enable.eq(1), scaled.below.eq(shifted.above)]
            added = ADD_CASCADE
        m.d.comb += [
            scaled.a.eq(self.row),
            scaled.b.eq(self.scale),
            scaled.addend.eq(Mux(self.first, added, added | ADD_OWN_TOO)),
            scaled.enable.eq(self.compute),
            self.total.eq(scaled.p[:32]),
        ]
        return m
