"""Token rows of 2-bit weights in look-up tables: 32 inputs times codes less their zero, summed."""

from amaranth import Const, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE
from rtl.arithmetic import halve
from rtl.matrix.lane import CODE

__all__ = ["SMALL_SUM_BITS", "SmallProducts"]

SMALL_SUM_BITS = 15
"""A signed sum of 32 products of 8-bit inputs with -3 .. 3."""
_NOTHING = 3
"""The choice that selects no input."""


class SmallProducts(wiring.Component):
    """The sum of input * code over the lanes, for each of some token rows and codes of -3 .. 3.

    A code is a sign and a part of one and of two. A part is chosen and, for a negative code, inverted in one look-up
    table a bit: x inverted is -x - 1, so a negative lane lacks 3, which are counted once for all rows. The parts are
    summed before they are weighted.

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
        ones, twos = (Signal(self.choices.shape(), name=name, reset_less=True) for name in ("ones", "twos"))
        negatives = Signal(LANES_PER_SLICE, reset_less=True)
        for lane in range(LANES_PER_SLICE):
            code, choice = self.codes[lane], self.choices[lane]
            negative = code[-1]
            m.d.sync += [
                ones[lane].eq(Mux(code[0], choice, _NOTHING)),
                twos[lane].eq(Mux(code[1] ^ (code[0] & negative), choice, _NOTHING)),
                negatives[lane].eq(negative),
            ]
        excess = _excess(m, negatives)
        for row in range(self.rows):
            once, twice = (
                _sums(m, [self._part(m, row, lane, choices[lane], negatives[lane], name) for lane in range(LANES_PER_SLICE)], name)
                for choices, name in ((ones, f"ones_{row}"), (twos, f"twos_{row}"))
            )
            low = Signal(signed(SMALL_SUM_BITS), name=f"low_{row}", reset_less=True)
            high = Signal(signed(SMALL_SUM_BITS - 1), name=f"high_{row}", reset_less=True)
            total = Signal(signed(SMALL_SUM_BITS), name=f"total_{row}", reset_less=True)
            m.d.sync += [low.eq(once[0] + once[1] + excess), high.eq(twice[0] + twice[1]), total.eq(low + (high << 1))]
            m.d.comb += self.totals[row].eq(total)
        return m

    def _part(self, m: Module, row: int, lane: int, choice: Value, negative: Value, name: str) -> Signal:
        """Return the input that a choice names, inverted for a negative code, in the next cycle."""
        first = 4 * (lane // 2) + lane % 2
        chosen = Signal(signed(8), name=f"chosen_{name}_{lane}")
        part = Signal(signed(8), name=f"{name}_{lane}", reset_less=True)
        with m.Switch(choice):
            for index in range(_NOTHING):
                with m.Case(index):
                    m.d.comb += chosen.eq(self.inputs[first + index][row])
        m.d.sync += part.eq(chosen ^ negative.replicate(8).as_signed())
        return part


def _excess(m: Module, negatives: Value) -> Value:
    """Return 3 for each bit that is set, five cycles later."""
    bits = Signal(LANES_PER_SLICE, name="negative", reset_less=True)
    m.d.sync += bits.eq(negatives)
    sums: list[Value] = list(bits)
    for most in (4, 16, 32):
        groups = [sums[index : index + 4] for index in range(0, len(sums), 4)]
        sums = [Signal(range(most + 1), name=f"negatives_{most}_{index}", reset_less=True) for index in range(len(groups))]
        m.d.sync += [total.eq(sum(group, Const(0))) for total, group in zip(sums, groups, strict=True)]
    excess = Signal(range(3 * LANES_PER_SLICE + 1), name="excess", reset_less=True)
    m.d.sync += excess.eq(sums[0] + (sums[0] << 1))
    return excess


def _sums(m: Module, values: list[Signal], name: str) -> list[Signal]:
    """Return two values with the sum of all, halved in number every cycle."""
    while len(values) > 2:
        bits = len(values[0]) + 1
        values = halve(m, values, bits, f"{name}_{bits}")
    return values
