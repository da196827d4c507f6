"""The packed multiplier: two DSPs of a column, each with two products of a pair of activations and one code, or their sum."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.dsp import P_BITS, dsp_instance
from rtl.matrix.lane import CODE
from rtl.matrix.records import DIGIT_BITS, FIELD_BITS, spread
from rtl.ram import VerilogPlatform

__all__ = ["PRODUCT_BITS", "PackedMultipliers"]

PRODUCT_BITS = FIELD_BITS + 15
"""A packed product, or the sum of four: the upper field holds 15 bits."""


class PackedMultipliers(wiring.Component):
    """Two multiplications in one column, with operands at stage 0.

    A digit stands for a pair of activations (low, high); `spread(digit) * code` has low * code in its lower field and
    high * code above it, and `unpack` of `rtl.matrix.records` gives both back. Sums of up to 32 such products keep
    the fields apart.

    Members:
        first_digit, first_code, second_digit, second_code: operands.
        apart: the products are wanted one by one (AXPY).
        first: the first packed product, FIRST cycles later.
        second: the second one where `apart` was high, else the sum of both, SECOND cycles later.
    """

    FIRST = 3
    SECOND = 4

    first_digit: In(DIGIT_BITS)
    first_code: In(CODE)
    second_digit: In(DIGIT_BITS)
    second_code: In(CODE)
    apart: In(1)
    first: Out(signed(PRODUCT_BITS))
    second: Out(signed(PRODUCT_BITS))

    def elaborate(self, platform):
        m = Module()
        adds = [Signal(name=f"adds_{stage}", reset_less=True) for stage in range(1, 3)]
        m.d.sync += [adds[0].eq(~self.apart), adds[1].eq(adds[0])]
        if isinstance(platform, VerilogPlatform):
            self._instances(m, adds[1])
        else:
            self._plain(m, adds[1])
        return m

    def _instances(self, m: Module, adds: Signal) -> None:
        """The second DSP has an operand register more, so that its product meets the first one's sum register."""
        sums, cascades = [], []
        for depth, digit, code in ((1, self.first_digit, self.first_code), (2, self.second_digit, self.second_code)):
            total, cascade = Signal(P_BITS, name=f"sum_{depth}"), Signal(P_BITS, name=f"cascade_{depth}")
            m.submodules[f"dsp_{depth}"] = dsp_instance(
                a=spread(digit),
                b=code,
                p=total,
                pcout=cascade,
                depth=depth,
                pcin=cascades[0] if cascades else None,
                adds=adds if cascades else 0,
            )
            sums.append(total)
            cascades.append(cascade)
        m.d.comb += [self.first.eq(sums[0]), self.second.eq(sums[1])]

    def _plain(self, m: Module, adds: Signal) -> None:
        """The same registers in plain form, for Amaranth's simulator."""
        adds_now = Signal(reset_less=True)
        m.d.sync += adds_now.eq(adds)
        products = []
        for depth, digit, code in ((1, self.first_digit, self.first_code), (2, self.second_digit, self.second_code)):
            for stage in range(depth):
                digit_register = Signal(DIGIT_BITS, name=f"digit_{depth}_{stage}", reset_less=True)
                code_register = Signal(CODE, name=f"code_{depth}_{stage}", reset_less=True)
                m.d.sync += [digit_register.eq(digit), code_register.eq(code)]
                digit, code = digit_register, code_register
            product = Signal(signed(PRODUCT_BITS), name=f"product_{depth}", reset_less=True)
            m.d.sync += product.eq(spread(digit) * code)
            products.append(product)
        m.d.sync += [self.first.eq(products[0]), self.second.eq(products[1] + Mux(adds_now, self.first, 0))]
