"""Token rows of 2-bit weights in look-up tables: 32 inputs times codes less their zero, summed."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE
from rtl.adders import PRODUCT_BITS, SMALL_CODE, thirds, times3
from rtl.matrix.lane import CODE
from rtl.pipeline import Pipeline

__all__ = ["SMALL_SUM_BITS", "SmallProducts"]

SMALL_SUM_BITS = 15
"""A signed sum of 32 products of 8-bit inputs with -3 .. 3."""
_NOTHING = 3
"""The choice that selects no input."""
_TABLE_BITS = 6
"""Inputs of a look-up table."""


class SmallProducts(wiring.Component):
    """The sum of input * code over the lanes, for each of some token rows and codes of -3 .. 3.

    The input of a lane is chosen, then multiplied in a look-up table a bit (`times3`); such a product lacks 1 where the code is
    negative, and how many do is counted once for all rows.

    Members:
        inputs: a byte of each row for each of 64 inputs in lane order, four to two lanes: lane l takes input
            4 * (l / 2) + l % 2 + choice.
        codes, choices: those of `Decoder`, one cycle before the inputs.
        totals: the sums, LATENCY cycles after the inputs; undefined for other codes.
    """

    LATENCY = 7

    def __init__(self, rows: int):
        self.rows = rows
        super().__init__(
            {
                "inputs": In(data.ArrayLayout(data.ArrayLayout(signed(8), rows), 64)),
                "codes": In(data.ArrayLayout(CODE, LANES_PER_SLICE)),
                "choices": In(data.ArrayLayout(2, LANES_PER_SLICE)),
                "totals": Out(data.ArrayLayout(signed(SMALL_SUM_BITS), rows)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        choices = Signal(self.choices.shape(), name="chosen", reset_less=True)
        parts = Signal(data.ArrayLayout(SMALL_CODE, LANES_PER_SLICE), reset_less=True)
        for lane in range(LANES_PER_SLICE):
            code = self.codes[lane]
            m.d.sync += [
                choices[lane].eq(Mux(code == 0, _NOTHING, self.choices[lane])),
                parts[lane].one.eq(code[0]),
                parts[lane].two.eq(code[1] ^ (code[0] & code[-1])),
                parts[lane].negative.eq(code[-1]),
            ]
        lacking = _count(m, platform, [part.negative for part in parts])
        for row in range(self.rows):
            products = []
            for lane in range(LANES_PER_SLICE):
                chosen = self._chosen(m, row, lane, choices[lane])
                product = Signal(signed(PRODUCT_BITS), name=f"product_{row}_{lane}", reset_less=True)
                m.d.sync += product.eq(times3(m, platform, chosen, parts[lane], f"times_{row}_{lane}"))
                products.append(product)
            sums = thirds(m, platform, products, _bits(3), f"sum_{row}_11")
            sums = thirds(m, platform, sums, _bits(9), f"sum_{row}_4")
            sums = thirds(m, platform, [*sums, lacking], SMALL_SUM_BITS, f"sum_{row}_2")
            (total,) = thirds(m, platform, sums, SMALL_SUM_BITS, f"sum_{row}")
            m.d.comb += self.totals[row].eq(Pipeline(m, total, 5, f"total_{row}").at(self.LATENCY))
        return m

    def _chosen(self, m: Module, row: int, lane: int, choice: Value) -> Signal:
        """Return the input that a choice names."""
        first = 4 * (lane // 2) + lane % 2
        chosen = Signal(signed(8), name=f"input_{row}_{lane}")
        with m.Switch(choice):
            for index in range(_NOTHING):
                with m.Case(index):
                    m.d.comb += chosen.eq(self.inputs[first + index][row])
        return chosen


def _bits(products: int) -> int:
    """Return the bits of a sum of so many products, each of which may lack 1."""
    return 1 + (products * (3 * 128 + 1)).bit_length()


def _count(m: Module, platform: object, bits: list[Value]) -> Signal:
    """Return how many bits are set, three cycles later."""
    counts = []
    for index in range(0, len(bits), _TABLE_BITS):
        group = Cat(bits[index : index + _TABLE_BITS])
        count = Signal(range(_TABLE_BITS + 1), name=f"count_{index}", reset_less=True)
        m.d.sync += count.eq(Array(number.bit_count() for number in range(1 << len(group)))[group])
        counts.append(count)
    counts = thirds(m, platform, counts, 1 + len(bits).bit_length(), "count_2")
    (total,) = thirds(m, platform, counts, 1 + len(bits).bit_length(), "count")
    return total
