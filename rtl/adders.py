"""Adders that take a look-up table a bit: three numbers at a time, and an activation times a 2-bit code less its zero."""

from collections.abc import Sequence

from amaranth import Instance, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.ram import VerilogPlatform

__all__ = ["PRODUCT_BITS", "Sum3", "Times3", "thirds"]

PRODUCT_BITS = 10
"""Bits of a signed byte times -3 .. 3."""


class Sum3(wiring.Component):
    """Combinational sum of three signed numbers, modulo 2**bits. Yosys makes two carry chains of one written as a + b + c."""

    def __init__(self, bits: int):
        self.bits = bits
        super().__init__({name: In(signed(bits)) for name in ("a", "b", "c")} | {"sum": Out(signed(bits))})

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, VerilogPlatform):
            m.submodules.adder = Instance("sum3", p_BITS=self.bits, i_a=self.a, i_b=self.b, i_c=self.c, o_sum=self.sum)
        else:
            m.d.comb += self.sum.eq(self.a + self.b + self.c)
        return m


class Times3(wiring.Component):
    """Combinational product of a signed byte with a code of -3 .. 3, less one where the code is negative.

    Members:
        x: the byte.
        one, two: whether the size of the code has a part of one and a part of two. negative: its sign.
        product: x * code - negative.
    """

    x: In(signed(8))
    one: In(1)
    two: In(1)
    negative: In(1)
    product: Out(signed(PRODUCT_BITS))

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, VerilogPlatform):
            ports = {f"i_{name}": getattr(self, name) for name in ("x", "one", "two", "negative")}
            m.submodules.multiplier = Instance("times3", **ports, o_product=self.product)
        else:
            size = Signal(signed(PRODUCT_BITS))
            m.d.comb += size.eq(Mux(self.one, self.x, 0) + (Mux(self.two, self.x, 0) << 1))
            m.d.comb += self.product.eq(Mux(self.negative, ~size, size))
        return m


def thirds(m: Module, values: Sequence[Value], bits: int, name: str) -> list[Signal]:
    """Return the signed sums of each three values, modulo 2**bits, one cycle later; the last may be of fewer."""
    sums = []
    for index in range(0, len(values), 3):
        few = values[index : index + 3]
        total = Signal(signed(bits), name=f"{name}_{index // 3}", reset_less=True)
        if len(few) == 3:
            m.submodules[f"{name}_add_{index // 3}"] = adder = Sum3(bits)
            m.d.comb += [port.eq(value) for port, value in zip((adder.a, adder.b, adder.c), few, strict=True)]
            m.d.sync += total.eq(adder.sum)
        else:
            m.d.sync += total.eq(sum(few[1:], few[0]))
        sums.append(total)
    return sums
