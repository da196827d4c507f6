"""One slice: 128 stream bits a cycle against one segment of activations; 32 lanes for every token row."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE, SLICE_BITS, EngineConfig
from hwsim.arch.isa import Format
from rtl.instance import Shared
from rtl.matrix.lane import COEFFICIENT, Decoder
from rtl.matrix.multiplier import PackedMultipliers
from rtl.matrix.records import DIGIT_BITS, STEP, fields, lane_bits, pairs, unpack
from rtl.matrix.stages import ACCUMULATED, FIRST_PRODUCT, SLICE, SUMS, Pipeline

__all__ = ["SUM_BITS", "Slice"]

SUM_BITS = 14
"""A signed sum of 32 activations."""
_TREE_BITS = 36
_ROW_BITS = 21
_COLUMN_LANES = 4


class Slice(Shared):
    """Multiplies, sums and accumulates; stages are those of `rtl.matrix.stages`.

    Members:
        step, word, slots, coefficient (stage SLICE): control, stream word, the digits of the 64 inputs in the order of
            the lanes (four to two lanes), the digits of the slice's own coefficient. A digit holds a pair of rows.
        sums (stage SUMS): each row's sum of the 32 activations of the step.
        row_select (stage ROW_DRAIN): row whose captured sum goes to `row_sum` in the next cycle.
        lane_row, lane (stage LANE_DRAIN): row and lane whose accumulator goes to `lane_sum` two cycles later.
        row_scale, parameter (stage PARAMETER): header entry of the captured block; KV4's value parameter.
    """

    module = "slice"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the component's signature."""
        tokens = config.tile.tokens
        digits = DIGIT_BITS * pairs(tokens)
        return {
            "step": In(STEP),
            "word": In(SLICE_BITS),
            "slots": In(data.ArrayLayout(digits, 64)),
            "coefficient": In(digits),
            "sums": In(data.ArrayLayout(signed(SUM_BITS), tokens)),
            "row_select": In(3),
            "lane_row": In(3),
            "lane": In(5),
            "row_scale": Out(24),
            "parameter": Out(32),
            "row_sum": Out(32),
            "lane_sum": Out(signed(lane_bits(config))),
        }

    def elaborate(self, platform):
        m = Module()
        step = Pipeline(m, self.step, SLICE, "step")
        products, sums = self._multiply(m, step)
        self._accumulate_lanes(m, step, products)
        self._accumulate_rows(m, step, sums)
        return m

    def _multiply(self, m: Module, step: Pipeline) -> tuple[list[list[Value]], list[list[Value]]]:
        """Return packed products of each pair: of every lane (AXPY), and of the even or odd lanes of two blocks (DOT).

        Products of lanes in even blocks are there at stage FIRST_PRODUCT, all others and the sums one later. Headers
        and scale words are kept.
        """
        header, scales = Signal(SLICE_BITS, reset_less=True), Signal(SLICE_BITS, reset_less=True)
        m.submodules.decoder = decoder = Decoder()
        key = header.word_select(self.step.entry, 32)
        m.d.comb += [
            decoder.step.eq(self.step),
            decoder.word.eq(self.word),
            decoder.pair.eq(scales.word_select(self.step.group, 16)),
            decoder.key.eq(key),
        ]
        with m.If(self.step.header):
            m.d.sync += header.eq(self.word)
        with m.If(self.step.scales):
            m.d.sync += scales.eq(self.word)
        row_scale, parameter = Signal(24, reset_less=True), Signal(32, reset_less=True)
        m.d.comb += [self.row_scale.eq(row_scale), self.parameter.eq(parameter)]
        with m.If(self.step.compute & self.step.last & ~self.step.axpy):
            m.d.sync += [
                row_scale.eq(key),
                # Value parameters lie one entry above the key's.
                parameter.eq(header.word_select(self.step.entry | 1, 32)),
            ]
        self._scale = Pipeline(m, decoder.scale, SLICE, "scale")
        self._offset = Pipeline(m, decoder.offset, SLICE, "offset")

        count = pairs(self.config.tile.tokens)
        chosen = []
        for lane in range(LANES_PER_SLICE):
            block, odd = divmod(lane, 2)
            operand = Signal(DIGIT_BITS * count, name=f"chosen_{lane}")
            chosen.append(operand)
            with m.Switch(decoder.choices[lane]):
                for choice in range(COEFFICIENT):
                    with m.Case(choice):
                        m.d.comb += operand.eq(self.slots[4 * block + odd + choice])
                with m.Default():
                    m.d.comb += operand.eq(self.coefficient)
        products: list[list[Value]] = [[Const(0)] * LANES_PER_SLICE for _ in range(count)]
        sums: list[list[Value]] = [[] for _ in range(count)]
        for pair in range(count):
            for lane in range(LANES_PER_SLICE):
                above = lane + 2
                if lane % 4 >= 2:
                    continue
                m.submodules[f"multiply_{pair}_{lane}"] = multiply = PackedMultipliers()
                m.d.comb += [
                    multiply.first_digit.eq(chosen[lane].word_select(pair, DIGIT_BITS)),
                    multiply.first_code.eq(decoder.codes[lane]),
                    multiply.second_digit.eq(chosen[above].word_select(pair, DIGIT_BITS)),
                    multiply.second_code.eq(decoder.codes[above]),
                    multiply.apart.eq(self.step.axpy),
                ]
                products[pair][lane], products[pair][above] = multiply.first, multiply.second
                sums[pair].append(multiply.second)
        return products, sums

    def _accumulate_lanes(self, m: Module, step: Pipeline, products: list[list[Value]]) -> None:
        """AXPY: one accumulator a lane and row; the drain reads them through a choice of two stages."""
        tokens = self.config.tile.tokens
        shape = signed(lane_bits(self.config))
        lanes = []
        for lane in range(LANES_PER_SLICE):
            control = step.at(FIRST_PRODUCT + lane % 4 // 2)
            for token in range(tokens):
                accumulator = Signal(shape, name=f"lane_{token}_{lane}", reset_less=True)
                field, borrow = fields(products[token // 2][lane])[token % 2]
                kept = Mux(control.first, 0, accumulator)
                # One bit more below carries the borrow in, where an adder of its own would be needed.
                with m.If(control.compute & control.axpy):
                    m.d.sync += accumulator.eq((Cat(1, field).as_signed() + Cat(borrow, kept).as_signed()) >> 1)
                lanes.append(accumulator)
        columns = []
        for column in range(0, LANES_PER_SLICE, _COLUMN_LANES):
            register = Signal(shape, name=f"column_{column}", reset_less=True)
            sources = Array(
                lanes[tokens * (column + index % _COLUMN_LANES) + min(index // _COLUMN_LANES, tokens - 1)]
                for index in range(_COLUMN_LANES * (1 << (tokens - 1).bit_length()))
            )
            place = Cat(self.lane[: _COLUMN_LANES.bit_length() - 1], self.lane_row[: (tokens - 1).bit_length()])
            m.d.sync += register.eq(sources[place])
            columns.append(register)
        column = Signal(self.lane.shape().width - _COLUMN_LANES.bit_length() + 1, reset_less=True)
        m.d.sync += [column.eq(self.lane[_COLUMN_LANES.bit_length() - 1 :]), self.lane_sum.eq(Array(columns)[column])]

    def _accumulate_rows(self, m: Module, step: Pipeline, products: list[list[Value]]) -> None:
        """DOT: sum the lanes, scale the sum, accumulate; the last step's sum goes to the hold registers too."""
        tokens = self.config.tile.tokens
        rows = [Signal(signed(_ROW_BITS), name=f"row_{token}", reset_less=True) for token in range(tokens)]
        is_wide = step.at(SUMS - 1).format == Format.W8
        for pair, lanes in enumerate(products):
            even, odd = (self._tree(m, lanes[start::2], f"tree_{pair}_{start}") for start in range(2))
            for half, token in enumerate(range(2 * pair, min(2 * pair + 2, tokens))):
                low, high = unpack(even)[half], unpack(odd)[half]
                m.d.sync += rows[token].eq(low + Mux(is_wide, high << 4, high))

        is_offset = step.at(SUMS + 1).format == Format.W4
        control = step.at(ACCUMULATED - 1)
        held = []
        for token in range(tokens):
            scaled = Signal(signed(_ROW_BITS + 9), name=f"scaled_{token}", reset_less=True)
            shifted = Signal(signed(SUM_BITS + 9), name=f"shifted_{token}", reset_less=True)
            addend = Signal(signed(32), name=f"addend_{token}", reset_less=True)
            total = Signal(32, name=f"total_{token}")
            accumulator = Signal(32, name=f"accumulator_{token}", reset_less=True)
            held.append(Signal(32, name=f"held_{token}", reset_less=True))
            m.d.sync += [
                scaled.eq(rows[token] * self._scale.at(SUMS)),
                shifted.eq(self.sums[token] * self._offset.at(SUMS)),
                addend.eq(scaled + Mux(is_offset, shifted << 4, shifted)),
            ]
            m.d.comb += total.eq(Mux(control.first, 0, accumulator) + addend)
            with m.If(control.compute & ~control.axpy):
                m.d.sync += accumulator.eq(total)
                with m.If(control.last):
                    m.d.sync += held[token].eq(total)
        m.d.sync += self.row_sum.eq(Array(held)[self.row_select])

    def _tree(self, m: Module, values: list[Value], name: str) -> Value:
        """Return the sum of eight packed sums two stages later, two levels a stage."""
        level = 0
        while len(values) > 1:
            sums: list[Value] = []
            for index in range(0, len(values), 4):
                total = Signal(signed(_TREE_BITS), name=f"{name}_{level}_{index}", reset_less=True)
                group = values[index : index + 4]
                m.d.sync += total.eq(sum(group[2:], Const(0)) + (group[0] + group[1]))
                sums.append(total)
            values, level = sums, level + 1
        return values[0]
