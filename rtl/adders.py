"""Adders that take a look-up table a bit: three numbers at a time, and an activation times a 2-bit code less its zero.

Yosys makes two carry chains of a sum of three numbers. As Verilog, these are modules written by hand, which simulators add
up and synthesis finds made of cells; for Amaranth's simulator and other families they are plain sums.
"""

from collections.abc import Sequence

from amaranth import Instance, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data

from rtl.ram import VerilogPlatform

__all__ = ["PRODUCT_BITS", "SMALL_CODE", "thirds", "times3"]

PRODUCT_BITS = 10
"""Bits of a signed byte times -3 .. 3."""
SMALL_CODE = data.StructLayout({"one": 1, "two": 1, "negative": 1})
"""A code of -3 .. 3: whether its size has a part of one and a part of two, and its sign."""


def times3(m: Module, platform: object, x: Value, code: data.View, name: str) -> Signal:
    """Return a signed byte times a SMALL_CODE, less one where the code is negative."""
    product = Signal(signed(PRODUCT_BITS), name=name)
    if isinstance(platform, VerilogPlatform):
        parts = {f"i_{part}": getattr(code, part) for part in SMALL_CODE.members}
        m.submodules[f"make_{name}"] = Instance("times3", i_x=x, **parts, o_product=product)
    else:
        size = Signal(signed(PRODUCT_BITS), name=f"{name}_size")
        m.d.comb += size.eq(Mux(code.one, x, 0) + (Mux(code.two, x, 0) << 1))
        m.d.comb += product.eq(Mux(code.negative, ~size, size))
    return product


def thirds(m: Module, platform: object, values: Sequence[Value], bits: int, name: str) -> list[Signal]:
    """Return the signed sums of each three values, modulo 2**bits, one cycle later; the last may be of fewer."""
    sums = []
    for index in range(0, len(values), 3):
        few = values[index : index + 3]
        total = Signal(signed(bits), name=f"{name}_{index // 3}", reset_less=True)
        added = Signal(signed(bits), name=f"{name}_{index // 3}_next")
        if len(few) == 3 and isinstance(platform, VerilogPlatform):
            wide = [Signal(signed(bits), name=f"{name}_{index // 3}_{port}") for port in "abc"]
            m.d.comb += [port.eq(value) for port, value in zip(wide, few, strict=True)]
            ports = {f"i_{port}": value for port, value in zip("abc", wide, strict=True)}
            m.submodules[f"add_{name}_{index // 3}"] = Instance("sum3", p_BITS=bits, **ports, o_sum=added)
        else:
            m.d.comb += added.eq(sum(few[1:], few[0]))
        m.d.sync += total.eq(added)
        sums.append(total)
    return sums
