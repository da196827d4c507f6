"""The two functions that come from tables with linear interpolation: 2**-x and the logistic function."""

import numpy as np
from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.numerics import FRACTION_BITS, SILU_BITS, exp2_table, sigmoid_table
from rtl.arithmetic import magnitude

__all__ = ["Exp2Neg", "Sigmoid"]

_POINT_BITS = 16


def _table(m: Module, name: str, points: np.ndarray, differences: np.ndarray) -> tuple[memory.ReadPort, data.StructLayout]:
    """Add a read-only memory of (point, difference to the next) and return its read port and the layout of a word."""
    difference_bits = int(differences.max()).bit_length()
    layout = data.StructLayout({"point": _POINT_BITS, "difference": difference_bits})
    words = [int(point) | int(difference) << _POINT_BITS for point, difference in zip(points, differences, strict=True)]
    m.submodules[name] = table = memory.Memory(
        shape=_POINT_BITS + difference_bits, depth=len(words), init=words, attrs={"rom_style": "distributed"}
    )
    return table.read_port(), layout


class Exp2Neg(wiring.Component):
    """`numerics.exp2_neg` of an unsigned fixed distance, LATENCY cycles later, a new one every cycle."""

    LATENCY = 5

    distance: In(unsigned(32))
    result: Out(unsigned(16))

    def elaborate(self, platform):
        m = Module()
        port, layout = _table(m, "table", *exp2_table())
        word = layout(port.data)
        part_bits = FRACTION_BITS - 6
        # Beyond 31 the result is zero, as it is for 31: five bits of shift hold every case.
        whole = [Signal(5, name=f"whole_{stage}", reset_less=True) for stage in range(3)]
        part = Signal(part_bits, reset_less=True)
        point, drop, value = (Signal(_POINT_BITS, reset_less=True, name=name) for name in ("point", "drop", "value"))
        shifted = Signal(_POINT_BITS + 1, reset_less=True)
        m.d.comb += port.addr.eq(self.distance[part_bits:FRACTION_BITS])
        m.d.sync += [
            part.eq(self.distance[:part_bits]),
            whole[0].eq(Mux(self.distance[FRACTION_BITS + 5 :].any(), 31, self.distance[FRACTION_BITS:][:5])),
            point.eq(word.point),
            drop.eq((word.difference * part) >> part_bits),
            whole[1].eq(whole[0]),
            value.eq(point - drop),
            whole[2].eq(whole[1]),
            # One bit below the point stays for rounding.
            shifted.eq((value << 1) >> whole[2]),
            self.result.eq((shifted >> 1) + shifted[0]),
        ]
        return m


class Sigmoid(wiring.Component):
    """`numerics.sigmoid` of a fixed value: `result` is combinational from registers LATENCY cycles later.

    A caller registers it (it is an addition); `x_delayed` is the value it belongs to.
    """

    LATENCY = 3

    x: In(signed(32))
    result: Out(unsigned(16))
    x_delayed: Out(signed(32))

    def elaborate(self, platform):
        m = Module()
        port, layout = _table(m, "table", *sigmoid_table())
        word = layout(port.data)
        part_bits = FRACTION_BITS - 4
        limited = Signal(FRACTION_BITS + 4, reset_less=True)
        x = [Signal(signed(32), name=f"x_{stage}", reset_less=True) for stage in range(2)]
        part = Signal(part_bits, reset_less=True)
        base, rise = (Signal(_POINT_BITS, reset_less=True, name=name) for name in ("base", "rise"))
        size = magnitude(self.x)
        m.d.comb += [
            port.addr.eq(limited[part_bits:]),
            # The logistic function of -x is one less that of x.
            self.result.eq(Mux(self.x_delayed < 0, base - rise, base + rise)),
        ]
        m.d.sync += [
            limited.eq(Mux(size[len(limited) :].any(), (1 << len(limited)) - 1, size[: len(limited)])),
            x[0].eq(self.x),
            part.eq(limited[:part_bits]),
            x[1].eq(x[0]),
            base.eq(Mux(x[1] < 0, (1 << SILU_BITS) - word.point, word.point)),
            rise.eq((word.difference * part) >> part_bits),
            self.x_delayed.eq(x[1]),
        ]
        return m
