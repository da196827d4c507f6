"""The packed multiplier: two DSPs of UltraScale+ in a column, which add their pairs of products up, or accumulate one pair each."""

from amaranth import Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.dsp import ADD_CASCADE, ADD_NOTHING, ADD_OWN, P_BITS, Dsp
from rtl.interfaces import flags
from rtl.matrix.records import DEEP_FIELD_BITS, DIGIT_BITS, FIELD_BITS, spread
from rtl.pipeline import Pipeline

__all__ = ["FACTOR", "PackedMultipliers"]

FACTOR = signed(8)
"""The other operand: a code of a weight, or a coefficient."""
_NIBBLE_PLACE = DEEP_FIELD_BITS - FIELD_BITS + 8
"""Place of the upper nibble in a digit of two."""


class PackedMultipliers(wiring.Component):
    """Two multiplications in one column of DSPs, with operands and control at stage 0.

    DOT: a digit is a pair of activations (`pair_digit`), whose products with one code lie FIELD_BITS apart; `second`
    becomes the sum of both packed products, read by `unpack`. Sums of up to 32 products keep the fields apart.

    AXPY (`accumulate`): a digit is a pair of nibbles (`nibble_digit`), whose products with one coefficient lie
    DEEP_FIELD_BITS apart; each DSP adds its packed products up from `start` on, read by `deep_halves`.

    Members:
        digits, factors: operands of the first and the second DSP.
        compute: nothing changes without it.
        first, first_upper: the first DSP's sum and the lowest bits of its upper half, FIRST cycles later.
        second, second_upper: the second one's, SECOND cycles later.
    """

    FIRST = 3
    SECOND = 4

    def __init__(self, upper_bits: int):
        self.upper_bits = upper_bits
        super().__init__(
            {
                "first_digit": In(DIGIT_BITS),
                "first_factor": In(FACTOR),
                "second_digit": In(DIGIT_BITS),
                "second_factor": In(FACTOR),
                **flags(In, "compute", "accumulate", "start"),
                "first": Out(signed(P_BITS)),
                "second": Out(signed(P_BITS)),
                "first_upper": Out(upper_bits),
                "second_upper": Out(upper_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.first_dsp = first = Dsp(1)
        # Its operand register more makes its product meet the first one's sum.
        m.submodules.second_dsp = second = Dsp(2, has_below=True)
        m.d.comb += [second.below.eq(first.above), self.first.eq(first.p), self.second.eq(second.p)]
        for dsp, digit, factor, alone in (
            (first, self.first_digit, self.first_factor, ADD_NOTHING),
            (second, self.second_digit, self.second_factor, ADD_CASCADE),
        ):
            addend = Mux(self.accumulate, Mux(self.start, ADD_NOTHING, ADD_OWN), alone)
            m.d.comb += [
                dsp.a.eq(spread(digit)),
                dsp.b.eq(factor),
                dsp.addend.eq(Pipeline(m, addend, 0, f"addend_{dsp.depth}").at(dsp.depth)),
                dsp.enable.eq(Pipeline(m, self.compute, 0, f"enable_{dsp.depth}").at(dsp.depth + 1)),
            ]
        self._upper(m, self.first_digit, self.first_factor, self.first_upper, self.FIRST)
        self._upper(m, self.second_digit, self.second_factor, self.second_upper, self.SECOND)
        return m

    def _upper(self, m: Module, digit: Value, factor: Value, total: Signal, latency: int) -> None:
        """Sum the lowest bits of the upper products apart, in step with a DSP's sum."""
        bits = self.upper_bits
        nibble = digit[_NIBBLE_PLACE : _NIBBLE_PLACE + min(bits, 4)]
        product = Pipeline(m, (nibble * factor[:bits].as_unsigned())[:bits], 0, f"upper_{latency}").at(latency - 1)
        start = Pipeline(m, self.start, 0, f"upper_start_{latency}").at(latency - 1)
        kept = Signal(bits, name=f"upper_sum_{latency}", reset_less=True)
        m.d.comb += total.eq(kept)
        with m.If(Pipeline(m, self.compute, 0, f"upper_enable_{latency}").at(latency - 1)):
            m.d.sync += kept.eq(Mux(start, 0, kept) + product)
