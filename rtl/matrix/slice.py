"""One slice: 128 stream bits a cycle against one segment of activations, 32 lanes for every row; a tile of them."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE, SLICE_BITS, EngineConfig
from hwsim.arch.isa import Format
from rtl.adders import thirds
from rtl.copies import copies
from rtl.instance import Shared, place
from rtl.interfaces import assign
from rtl.matrix.accumulator import SUM_BITS, RowAccumulator
from rtl.matrix.lane import COEFFICIENT, Decoder
from rtl.matrix.multiplier import FACTOR, PackedMultipliers
from rtl.matrix.records import (
    DEEP_FIELD_BITS,
    DIGIT_BITS,
    STEP,
    coefficient_bits,
    deep_halves,
    input_bits,
    nibble_digit,
    pairs,
    spread,
    unpack,
    upper_bits,
)
from rtl.matrix.small_products import SmallProducts
from rtl.matrix.stages import ACCUMULATED, DECODE, FIRST_PRODUCT, LANE_DRAIN, ROW_DRAIN, SECOND_PRODUCT, SLICE, SUMS
from rtl.pipeline import Pipeline

__all__ = ["ROW_BITS", "Slice", "Tile"]

_TREE_BITS = 36
ROW_BITS = 21
"""Bits of a signed sum of 32 products, in nibbles or of bytes in two halves."""
_NEAR_BLOCKS = 4


class Slice(Shared):
    """Multiplies, sums and accumulates; stages are those of `rtl.matrix.stages`.

    Members:
        step, word (stage DECODE): control, stream word.
        slots, coefficient (stage SLICE): the 64 inputs of every row in the order of the lanes (four to two lanes), the
            digits of the slice's own coefficient. A digit holds a pair of rows that multiply nibbles; behind an input's
            digits come the bytes of the other rows.
        sums (stage SUMS): the sum of the 32 activations of the step, of each row that multiplies nibbles.
        row_select (stage ROW_DRAIN - 1): row whose captured sum goes to `row_sum` two cycles later.
        lane_row, lane (stage LANE_DRAIN - 1): row and group of lanes whose accumulators go to `lane_sums` three cycles later.
        row_scale, parameter (stage PARAMETER): header entry of the captured block; of keys, the value parameter.
    """

    module = "slice"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        return {
            "step": In(STEP),
            "word": In(SLICE_BITS),
            "slots": In(data.ArrayLayout(input_bits(config), 64)),
            "coefficient": In(coefficient_bits(config)),
            "sums": In(data.ArrayLayout(signed(SUM_BITS), config.tile.nibble_rows)),
            "row_select": In(3),
            "lane_row": In(3),
            "lane": In(5),
            "row_scale": Out(24),
            "parameter": Out(32),
            "row_sum": Out(32),
            "lane_sums": Out(data.ArrayLayout(signed(config.lane_bits), config.mixed_lanes)),
        }

    def elaborate(self, platform):
        m = Module()
        self._platform = platform
        step = Pipeline(m, self.step, DECODE, "step")
        decoder = self._decode(m, step)
        columns = self._multiply(m, step, decoder)
        self._hold_lanes(m, step, columns)
        self._accumulate_rows(m, step, self._nibble_rows(m, step, columns) + self._small_rows(m, decoder))
        return m

    def _decode(self, m: Module, step: Pipeline) -> Decoder:
        """Return the decoder, with its outputs at stage DECODE; keep headers and scale words."""
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
        # Value parameters lie one entry above the key's.
        entries = Pipeline(m, Cat(key[:24], header.word_select(self.step.entry | 1, 32)), DECODE, "entries").at(SLICE)
        row_scale, parameter = Signal(24, reset_less=True), Signal(32, reset_less=True)
        m.d.comb += [self.row_scale.eq(row_scale), self.parameter.eq(parameter)]
        control = step.at(SLICE)
        with m.If(control.compute & control.last & ~control.axpy):
            m.d.sync += Cat(row_scale, parameter).eq(entries)
        self._scale = Pipeline(m, decoder.scale, DECODE, "scale")
        self._offset = Pipeline(m, decoder.offset, DECODE, "offset")
        return decoder

    def _multiply(self, m: Module, step: Pipeline, decoder: Decoder) -> list[list[PackedMultipliers]]:
        """Return the columns of two DSPs each.

        Column 2k + odd of a pair of rows multiplies lanes 4k + odd and 4k + 2 + odd (DOT), or (AXPY) the lanes of blocks 2k
        and 2k + 1 with the coefficient of the pair's row `odd`.
        """
        control = step.at(SLICE)
        codes = Pipeline(m, decoder.codes, DECODE, "codes").at(SLICE)
        choices = Pipeline(m, decoder.choices, DECODE, "choices").at(SLICE)
        count = pairs(self.config.tile.nibble_rows)
        chosen = []
        for lane in range(LANES_PER_SLICE):
            block, odd = divmod(lane, 2)
            operand = Signal(DIGIT_BITS * count, name=f"chosen_{lane}")
            chosen.append(operand)
            nibbles = nibble_digit(codes[2 * block], codes[2 * block + 1])
            with m.Switch(choices[lane]):
                for choice in range(COEFFICIENT):
                    with m.Case(choice):
                        m.d.comb += operand.eq(self.slots[4 * block + odd + choice])
                with m.Default():
                    m.d.comb += operand.eq(nibbles.replicate(count))
        columns: list[list[PackedMultipliers]] = []
        for pair in range(count):
            columns.append([])
            digit = self.coefficient.word_select(pair, DIGIT_BITS)
            factors = [Signal(FACTOR, name=f"coefficient_{2 * pair + half}") for half in range(2)]
            m.d.comb += [factor.eq(value) for factor, value in zip(factors, unpack(spread(digit)), strict=True)]
            for lane in (lane for lane in range(LANES_PER_SLICE) if lane % 4 < 2):
                multiply = PackedMultipliers(upper_bits(self.config))
                m.submodules[f"multiply_{pair}_{lane}"] = multiply
                columns[-1].append(multiply)
                coefficient = factors[lane % 2]
                m.d.comb += [
                    multiply.first_digit.eq(chosen[lane].word_select(pair, DIGIT_BITS)),
                    multiply.first_factor.eq(Mux(control.axpy, coefficient, codes[lane])),
                    multiply.second_digit.eq(chosen[lane + 2].word_select(pair, DIGIT_BITS)),
                    multiply.second_factor.eq(Mux(control.axpy, coefficient, codes[lane + 2])),
                    multiply.compute.eq(control.compute),
                    multiply.accumulate.eq(control.axpy),
                    multiply.start.eq(control.first),
                ]
        return columns

    def _hold_lanes(self, m: Module, step: Pipeline, columns: list[list[PackedMultipliers]]) -> None:
        """AXPY: hold the sums of each block and row after the last step while the DSPs go on; the drain selects among them."""
        tokens, bits, mixed = self.config.tile.nibble_rows, self.config.lane_bits, self.config.mixed_lanes
        blocks = LANES_PER_SLICE // 2
        held: list[list[Signal]] = [[] for _ in range(tokens)]
        captures = []
        for stage in (FIRST_PRODUCT, SECOND_PRODUCT):
            before = step.at(stage - 1)
            captures.append(copies(m, before.compute & before.axpy & before.last, 2, f"capture_{stage}"))
        for token in range(tokens):
            for block in range(blocks):
                column = columns[token // 2][block // 2 * 2 + token % 2]
                total = column.second if block % 2 else column.first
                upper = column.second_upper if block % 2 else column.first_upper
                register = Signal(DEEP_FIELD_BITS + bits + len(upper), name=f"held_{token}_{block}", reset_less=True)
                with m.If(captures[block % 2][token * 2 // tokens]):
                    m.d.sync += register.eq(Cat(total[: DEEP_FIELD_BITS + bits], upper))
                held[token].append(register)
        # A drained word takes both lanes of one or more blocks, or one of the two, in turn.
        together = max(1, mixed // 2)
        lane = Pipeline(m, self.lane, LANE_DRAIN - 1, "lane").at(LANE_DRAIN)
        lane_row = Pipeline(m, self.lane_row, LANE_DRAIN - 1, "lane_row").at(LANE_DRAIN)
        chosen = lane if mixed > 1 else lane[1:]
        near = min(_NEAR_BLOCKS, blocks // together)
        near_bits = near.bit_length() - 1
        place = Cat(chosen[:near_bits], lane_row[: (tokens - 1).bit_length()])
        rows = [held[min(row, tokens - 1)] for row in range(1 << (tokens - 1).bit_length())]
        odd = Signal(reset_less=True)
        far = Signal(range(max(2, blocks // together // near)), reset_less=True)
        m.d.sync += [far.eq(chosen[near_bits:]), odd.eq(lane[0])]
        for part in range(together):
            groups = []
            for first in range(0, blocks // together, near):
                group = Signal(len(held[0][0]), name=f"group_{part}_{first}", reset_less=True)
                sources = [row[(first + step) * together + part] for row in rows for step in range(near)]
                m.d.sync += group.eq(Array(sources)[place])
                groups.append(group)
            word = Array(groups)[far]
            low, high = deep_halves(word[: DEEP_FIELD_BITS + bits], word[DEEP_FIELD_BITS + bits :], bits)
            if mixed == 1:
                m.d.sync += self.lane_sums[0].eq(Mux(odd, high, low))
            else:
                m.d.sync += [self.lane_sums[2 * part].eq(low), self.lane_sums[2 * part + 1].eq(high)]

    def _nibble_rows(self, m: Module, step: Pipeline, columns: list[list[PackedMultipliers]]) -> list[Value]:
        """Return each row's sum over the columns at stage SUMS."""
        tokens = self.config.tile.nibble_rows
        rows = [Signal(signed(ROW_BITS), name=f"row_{token}", reset_less=True) for token in range(tokens)]
        is_wide = step.at(SUMS - 1).format == Format.W8
        for pair, sums in enumerate(columns):
            totals = [column.second[:_TREE_BITS].as_signed() for column in sums]
            halves = []
            for start in range(2):
                three = thirds(m, self._platform, totals[start::2], _TREE_BITS, f"tree_{pair}_{start}_3")
                halves += thirds(m, self._platform, three, _TREE_BITS, f"tree_{pair}_{start}")
            for half, token in enumerate(range(2 * pair, min(2 * pair + 2, tokens))):
                low, high = (unpack(total)[half] for total in halves)
                m.d.sync += rows[token].eq(low + Mux(is_wide, high << 4, high))
        return rows

    def _small_rows(self, m: Module, decoder: Decoder) -> list[Value]:
        """Return the sums, at stage SUMS, of the rows that multiply 2-bit weights alone."""
        tile = self.config.tile
        if tile.nibble_rows == tile.tokens:
            return []
        m.submodules.small = small = SmallProducts(tile.tokens - tile.nibble_rows)
        first = coefficient_bits(self.config)
        m.d.comb += [
            small.inputs.eq(Cat(slot[first:] for slot in self.slots)),
            small.codes.eq(decoder.codes),
            small.choices.eq(decoder.choices),
        ]
        return list(small.totals)

    def _accumulate_rows(self, m: Module, step: Pipeline, rows: list[Value]) -> None:
        """DOT: scale each row's sum of products and accumulate; the last step's sum goes to a hold register too."""
        starts, adds, ends = step.at(ACCUMULATED - 2), step.at(ACCUMULATED - 1), step.at(ACCUMULATED)
        held = []
        for token, row in enumerate(rows):
            has_offset = token < self.config.tile.nibble_rows
            m.submodules[f"accumulator_{token}"] = accumulator = RowAccumulator(len(row), has_offset=has_offset)
            m.d.comb += [
                accumulator.row.eq(row),
                accumulator.scale.eq(self._scale.at(SUMS)),
                accumulator.first.eq(starts.first),
                accumulator.compute.eq(adds.compute & ~adds.axpy),
            ]
            if has_offset:
                m.d.comb += [accumulator.sum.eq(self.sums[token]), accumulator.offset.eq(self._offset.at(SUMS))]
            held.append(Signal(32, name=f"held_{token}", reset_less=True))
            with m.If(ends.compute & ~ends.axpy & ends.last):
                m.d.sync += held[token].eq(accumulator.total)
        row_select = Pipeline(m, self.row_select, ROW_DRAIN - 1, "row_select").at(ROW_DRAIN)
        m.d.sync += self.row_sum.eq(Array(held)[row_select])


class Tile(Shared):
    """The slices of a port; stages are those of `rtl.matrix.stages`.

    Members:
        head, repeat (stage 0): the stream word; whether the word of the cycle before is used again.
        step (stage DECODE - 1), slots (stage HOP), sums (stage SUMS - 1): a register before those of `Slice`.
        row_select, lane_row, lane: those of `Slice`.
        coefficients (stage SLICE): one digit a slice.
        row_scales, parameters, row_sums, lane_sums: the outputs of the slices.
    """

    module = "tile"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        slices = config.tile.slices_per_port
        return {
            "head": In(config.tile.port_bits),
            "repeat": In(1),
            "step": In(STEP),
            "slots": In(data.ArrayLayout(input_bits(config), 64)),
            "coefficients": In(data.ArrayLayout(coefficient_bits(config), slices)),
            "sums": In(data.ArrayLayout(signed(SUM_BITS), config.tile.nibble_rows)),
            "row_select": In(3),
            "lane_row": In(3),
            "lane": In(5),
            "row_scales": Out(data.ArrayLayout(24, slices)),
            "parameters": Out(data.ArrayLayout(32, slices)),
            "row_sums": Out(data.ArrayLayout(32, slices)),
            "lane_sums": Out(data.ArrayLayout(data.ArrayLayout(signed(config.lane_bits), config.mixed_lanes), slices)),
        }

    def elaborate(self, platform):
        m = Module()
        beat = Signal(self.config.tile.port_bits, reset_less=True)
        step = Signal(STEP, name="local_step", reset_less=True)
        slots = Signal(self.slots.shape(), name="local_slots", reset_less=True)
        sums = Signal(self.sums.shape(), name="local_sums", reset_less=True)
        m.d.sync += [step.eq(self.step), slots.eq(self.slots), sums.eq(self.sums)]
        with m.If(~self.repeat):
            m.d.sync += beat.eq(self.head)
        word = Pipeline(m, beat, 1, "beat", has_flip_flops=True).at(DECODE)
        count = self.config.tile.slices_per_port
        slices = [place(m, f"slice_{index}", Slice, self.config, inline=self.inline) for index in range(count)]
        for index, piece in enumerate(slices):
            m.d.comb += [
                piece.word.eq(word.word_select(index, SLICE_BITS)),
                piece.slots.eq(slots),
                piece.coefficient.eq(self.coefficients[index]),
                piece.step.eq(step),
                piece.sums.eq(sums),
                *assign(piece, self, "row_select", "lane_row", "lane"),
            ]
        m.d.comb += [
            self.row_scales.eq(Cat(piece.row_scale for piece in slices)),
            self.parameters.eq(Cat(piece.parameter for piece in slices)),
            self.row_sums.eq(Cat(piece.row_sum for piece in slices)),
            self.lane_sums.eq(Cat(piece.lane_sums for piece in slices)),
        ]
        return m
