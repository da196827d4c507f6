"""The broadcast of activations to the slices: packed once, put in lane order once, then passed on through registers."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Format
from rtl.adders import thirds
from rtl.copies import copies
from rtl.interfaces import UnitSizes
from rtl.matrix.accumulator import SUM_BITS
from rtl.matrix.records import DIGIT_BITS, coefficient_bits, input_bits, pair_digit, pairs, spread, unpack
from rtl.matrix.stages import ACTIVATION, SENT
from rtl.pipeline import Pipeline

__all__ = ["ARRANGE", "Broadcast"]

ARRANGE = data.StructLayout({"axpy": 1, "format": 3, "start": 6})
"""How the inputs of a step lie in their segment; `start` is the byte of the first input or coefficient."""


_SUM_BITS = 33
"""A sum of 32 packed pairs: of low inputs in the lowest FIELD_BITS, of high ones above."""


_VALUES_A_COPY = 8
"""Values of all rows that one register turns: it has a load a bit, or more."""


class Broadcast(wiring.Component):
    """Turns a segment into 64 inputs of every row in lane order (DOT), or the coefficients from `start` on (AXPY).

    Members:
        a_address (stage 0), address (a stage later): of the activation memory. arrange: with it, at stage SENT.
        segment: 64 codes of each row, at stage ACTIVATION.
        slots, coefficients: at stage ORDERED. Coefficient i is that of the step's token i, for the tokens of a step.
        sums: the sum of the 32 inputs from `start` on of each row that multiplies nibbles, at stage SUMS_READY.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        tile = config.tile
        super().__init__(
            {
                "a_address": In(UnitSizes(config).activation),
                "address": Out(UnitSizes(config).activation),
                "segment": In(512 * tile.tokens),
                "arrange": In(ARRANGE),
                "slots": Out(data.ArrayLayout(input_bits(config), 64)),
                "coefficients": Out(data.ArrayLayout(coefficient_bits(config), 64)),
                "sums": Out(data.ArrayLayout(signed(SUM_BITS), tile.nibble_rows)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tokens, nibble_rows = self.config.tile.tokens, self.config.tile.nibble_rows
        segment = Signal(512 * tokens, reset_less=True)
        arrange = Pipeline(m, self.arrange, SENT, "arrange")
        m.d.sync += [self.address.eq(self.a_address), segment.eq(self.segment)]

        def code(row: int, index: int) -> Value:
            return segment[512 * row + 8 * index : 512 * row + 8 * index + 8]

        packed = [
            Cat(
                *(
                    pair_digit(code(row, index), code(row + 1, index) if row + 1 < nibble_rows else None)
                    for row in range(0, nibble_rows, 2)
                ),
                *(code(row, index) for row in range(nibble_rows, tokens)),
            )
            for index in range(64)
        ]
        turned = _turn(m, packed, arrange.at(ACTIVATION).start[4:6], 16, 64, "turned")
        self._arrange(m, turned, arrange.at(ACTIVATION + 1))
        digits = [value[: coefficient_bits(self.config)] for value in turned]
        nearest = _turn(m, digits, arrange.at(ACTIVATION + 1).start[:4], 1, 16, "nearest")
        m.d.comb += [self.coefficients[index].eq(nearest[index]) for index in range(64)]
        self._sum(m, platform, turned)
        return m

    def _arrange(self, m: Module, turned: list[Value], control) -> None:
        """Put the inputs of lanes 2i and 2i + 1 in slots 4i and 4i + 1; W2S keeps them, so its lanes choose of four.

        The control is that of the stage before.
        """
        ordered = Signal(self.slots.shape(), reset_less=True)
        formats = copies(m, Cat(control.format == Format.W2S, control.format == Format.W8), 64 // _VALUES_A_COPY, "format")
        for index in range(64):
            block, place = divmod(index, 4)
            is_kept, is_wide = formats[index // _VALUES_A_COPY]
            value = turned[index]
            if place < 2:
                value = Mux(is_kept, value, Mux(is_wide, turned[block], turned[2 * block + place]))
            m.d.sync += ordered[index].eq(value)
        m.d.comb += self.slots.eq(ordered)

    def _sum(self, m: Module, platform: object, turned: list[Value]) -> None:
        """Sum the first 32 inputs, rows in pairs."""
        tokens = self.config.tile.nibble_rows
        for pair in range(pairs(tokens)):
            values: list[Value] = [spread(digit.word_select(pair, DIGIT_BITS)) for digit in turned[:32]]
            while len(values) > 1:
                bits = min(_SUM_BITS, len(values[0]) + 2)
                values = list(thirds(m, platform, values, bits, f"sum_{pair}_{len(values)}"))
            for half, row in enumerate(range(2 * pair, min(2 * pair + 2, tokens))):
                result = Signal(signed(SUM_BITS), name=f"row_sum_{row}", reset_less=True)
                m.d.sync += result.eq(unpack(values[0])[half])
                m.d.comb += self.sums[row].eq(result)


def _turn(m: Module, values: list[Value], amount: Value, unit: int, span: int, name: str) -> list[Signal]:
    """Return registers of the values with the first `span` of them rotated down by the `amount` of the cycle before, in units."""
    registers = []
    amounts = copies(m, amount, -(-span // _VALUES_A_COPY), name)
    for index, value in enumerate(values):
        register = Signal(len(value), name=f"{name}_{index}", reset_less=True)
        registers.append(register)
        if index >= span:
            m.d.sync += register.eq(value)
            continue
        with m.Switch(amounts[index // _VALUES_A_COPY]):
            for turn in range(1 << len(amount)):
                with m.Case(turn):
                    m.d.sync += register.eq(values[(index + turn * unit) % span])
    return registers
