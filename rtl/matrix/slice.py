"""One slice: 128 stream bits a cycle against one segment of activations; 32 lanes for every token row."""

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE, SLICE_BITS, EngineConfig
from hwsim.arch.isa import Format
from rtl.instance import Shared
from rtl.matrix.lane import CODE, COEFFICIENT, Decoder
from rtl.matrix.records import DIGIT_BITS, STEP, lane_bits, pairs, spread, unpack
from rtl.matrix.stages import ACCUMULATED, SLICE, SUMS, Pipeline

__all__ = ["SUM_BITS", "Slice"]

SUM_BITS = 14
"""A signed sum of 32 activations."""
_PRODUCT_BITS = 32
_TREE_BITS = 36
_ROW_BITS = 21


class Slice(Shared):
    """Multiplies, sums and accumulates; stages are those of `rtl.matrix.stages`.

    Members:
        step, word, slots, coefficient (stage SLICE): control, stream word, the digits of the 64 inputs in the order of
            the lanes (four to two lanes), the digits of the slice's own coefficient. A digit holds a pair of rows.
        sums (stage SUMS): each row's sum of the 32 activations of the step.
        row_select (stage ROW_DRAIN): row whose captured sum goes to `row_sum` in the next cycle.
        lane_row, lane_shift (stage LANE_DRAIN): row whose first lane accumulators go to `lane_sums` in the next cycle;
            whether the next ones follow.
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
            "lane_shift": In(1),
            "row_scale": Out(24),
            "parameter": Out(32),
            "row_sum": Out(32),
            "lane_sums": Out(data.ArrayLayout(signed(lane_bits(config)), config.mixed_lanes)),
        }

    def elaborate(self, platform):
        m = Module()
        step = Pipeline(m, self.step, SLICE, "step")
        products = self._multiply(m, step)
        self._accumulate_lanes(m, step, products)
        self._accumulate_rows(m, step, products)
        return m

    def _multiply(self, m: Module, step: Pipeline) -> list[list[Signal]]:
        """Return the packed products of each pair and lane, two stages after SLICE; keep headers and scale words."""
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
        products: list[list[Signal]] = [[] for _ in range(count)]
        for lane in range(LANES_PER_SLICE):
            block, odd = divmod(lane, 2)
            code = Signal(CODE, name=f"code_{lane}", reset_less=True)
            m.d.sync += code.eq(decoder.codes[lane])
            chosen = Signal(DIGIT_BITS * count, name=f"chosen_{lane}", reset_less=True)
            with m.Switch(decoder.choices[lane]):
                for choice in range(COEFFICIENT):
                    with m.Case(choice):
                        m.d.sync += chosen.eq(self.slots[4 * block + odd + choice])
                with m.Default():
                    m.d.sync += chosen.eq(self.coefficient)
            for pair in range(count):
                product = Signal(signed(_PRODUCT_BITS), name=f"product_{pair}_{lane}", reset_less=True)
                m.d.sync += product.eq(spread(chosen.word_select(pair, DIGIT_BITS)) * code)
                products[pair].append(product)
        return products

    def _accumulate_lanes(self, m: Module, step: Pipeline, products: list[list[Signal]]) -> None:
        """AXPY: one accumulator a lane and row; the drain shifts the lanes past the first ones."""
        mixed = self.config.mixed_lanes
        tokens = self.config.tile.tokens
        control = step.at(SLICE + 2)
        shape = signed(lane_bits(self.config))
        lanes = [
            [Signal(shape, name=f"lane_{token}_{lane}", reset_less=True) for lane in range(LANES_PER_SLICE)]
            for token in range(tokens)
        ]
        for token in range(tokens):
            for lane in range(LANES_PER_SLICE):
                accumulator = lanes[token][lane]
                addend = unpack(products[token // 2][lane])[token % 2]
                with m.If(control.compute & control.axpy):
                    m.d.sync += accumulator.eq(Mux(control.first, 0, accumulator) + addend)
                with m.Elif(self.lane_shift):
                    m.d.sync += accumulator.eq(lanes[token][(lane + mixed) % LANES_PER_SLICE])
        for lane in range(mixed):
            m.d.sync += self.lane_sums[lane].eq(Array(lanes[token][lane] for token in range(tokens))[self.lane_row])

    def _accumulate_rows(self, m: Module, step: Pipeline, products: list[list[Signal]]) -> None:
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

    def _tree(self, m: Module, values: list[Signal], name: str) -> Signal:
        """Return the sum of sixteen packed products, two levels a stage."""
        level = 0
        while len(values) > 1:
            sums = []
            for index in range(0, len(values), 4):
                total = Signal(signed(_TREE_BITS), name=f"{name}_{level}_{index}", reset_less=True)
                m.d.sync += total.eq((values[index] + values[index + 1]) + (values[index + 2] + values[index + 3]))
                sums.append(total)
            values, level = sums, level + 1
        return values[0]
