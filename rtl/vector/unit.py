"""The vector unit: both passes, lanes, statistics and scalars wired to the engine's memories."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import KvQuant
from hwsim.arch.numerics import FRACTION_BITS, ROPE_BITS
from hwsim.arch.timing import MEASURE_LATENCY, VECTOR_ROWS
from rtl.arithmetic import SCALE
from rtl.copies import copies
from rtl.instance import place
from rtl.interfaces import PACK_ENTRY, SCALE_ENTRY, UnitSizes, assign, command_port, flags, read_port
from rtl.memories import activation_address_bits
from rtl.pipeline import Pipeline
from rtl.ram import Ram
from rtl.vector.first_pass import FirstPass, ScoreMask
from rtl.vector.lane import ADDEND_BITS, CODE_SUM_BITS, KEY_BITS, LANE_CONTROL, ZERO_POINT_BITS, Coder, Lane
from rtl.vector.pack import PackBuffer
from rtl.vector.row_scales import MEASURED_ROW, SUM_BITS, RowScales
from rtl.vector.rows import KEPT, Rows
from rtl.vector.stages import CodeStage, RowStage, Stage, check_timing
from rtl.vector.statistics import MARK, Largest, Total

__all__ = ["Vector"]

_SEGMENT = 64
_LEAST = -(1 << 31)
_HELD_BITS = 32 + ZERO_POINT_BITS
"""Bits of a lane in the temporary memory: a value and a zero point."""


class Vector(wiring.Component):
    """NORM, QUANT, SWIGLU, ROPE, SOFTMAX and KVQUANT in two passes that overlap; golden `hwsim.arch.numerics`, time docs/engine.md.

    Reads two copies of the result memory (`y_a`, `y_b`), residual (`x`, addressed when `x_reads`), parameter (`p`) and
    value-parameter memory (`h`); writes `a_data`, the codes of one word, to row `a_row` at `a_address` (in words of V
    codes), and entries of the scale file; the mover reads the pack buffer. `clear` forgets the instructions under way.

    With `inline` the lanes are part of the circuit; otherwise instances of `shared_modules`.
    Raises ConfigError when the constants of the timing law are below what the circuit needs.
    """

    shared_modules = (Lane, Coder)

    def __init__(self, config: EngineConfig, *, inline: bool = True):
        check_timing(config.vector.lanes)
        self.config, self.inline = config, inline
        self.sizes = sizes = UnitSizes(config)
        self.lanes = sizes.lanes
        self.row_stages = RowStage(self.lanes)
        self.codes_per_segment = _SEGMENT // self.lanes
        super().__init__(
            {
                **command_port(),
                **read_port("y_a", sizes.result, sizes.word_bits),
                **read_port("y_b", sizes.result, sizes.word_bits),
                **read_port("x", sizes.residual, sizes.word_bits),
                **flags(Out, "x_reads", "a_enable", "scale_enable", "busy"),
                **read_port("p", sizes.parameter, sizes.word_bits),
                **read_port("h", sizes.side, sizes.word_bits),
                "a_row": Out(3),
                "a_address": Out(activation_address_bits(config)),
                "a_data": Out(8 * self.lanes),
                "scale_address": Out(sizes.scales),
                "scale_data": Out(SCALE_ENTRY),
                "pack_address": In(KvQuant.field("entry").width),
                "pack_data": Out(PACK_ENTRY),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.first = first = FirstPass()
        m.submodules.rows = rows = Rows(self.config.temporary_words)
        m.submodules.scales = scales = RowScales(self.lanes)
        m.submodules.temporary = temporary = Ram(depth=self.config.temporary_words, lanes=self.lanes, lane_bits=_HELD_BITS)
        m.d.comb += [*assign(first, self, "command", "command_valid"), self.issue.eq(first.issue)]
        self._begin_rows(m, first, rows)
        self._first_pass(m, first, scales, temporary)
        self._end_rows(m, first, rows, scales)
        self._second_pass(m, rows, scales, temporary)
        in_flight = Signal(range(VECTOR_ROWS + 2))
        m.d.sync += in_flight.eq(in_flight + self.issue - self.retire)
        m.d.comb += self.busy.eq(in_flight != 0)
        return ResetInserter(self.clear)(m)

    def _begin_rows(self, m: Module, first: FirstPass, rows: Rows) -> None:
        operation, row = first.operation, rows.row
        m.d.comb += [
            *assign(row, operation, *(name for name in KEPT if name != "scale")),
            row.row.eq(first.row),
            row.scale.eq(operation.scale + first.row),
            row.is_last.eq(first.is_last),
            rows.begin.eq(first.begin),
            *assign(first, rows, "has_place", "has_words"),
        ]

    def _first_pass(self, m: Module, first: FirstPass, scales: RowScales, temporary: Ram) -> None:
        """Take a word through addresses, lanes and temporary memory to the statistics of its row."""
        word = Pipeline(m, first.word, 0, "word", is_cleared=True)
        self._address(m, first, word)
        control = Pipeline(m, self._control(m, first.operation), 0, "control")
        mask = self._mask(m, first, word)
        top = self._peak(m, first, word, mask)
        lanes = []
        for number in range(self.lanes):
            lane = place(m, f"lane_{number}", Lane, self.config, inline=self.inline)
            m.d.comb += [lane.control.eq(control.at(Stage.LATE - 1)), lane.mask.eq(mask.at(Stage.LATE)[number]), lane.top.eq(top)]
            for name in ("y_a", "y_b", "x", "p", "h"):
                m.d.comb += getattr(lane, name).eq(getattr(self, f"{name}_data").word_select(number, 32))
            lanes.append(lane)

        def mark(stage: int) -> Signal:
            """Return the mark of the word at a stage for the statistics, which count in the last pass over a row."""
            at, marked = word.at(stage), Signal(MARK, name=f"mark_{stage}")
            m.d.comb += [marked.valid.eq(at.valid & ~at.peak), marked.first.eq(at.first)]
            return marked

        before = word.at(Stage.VALUE - 1)
        enables = copies(m, before.valid & ~before.peak, 2, "enable")
        write = Signal(range(self.config.temporary_words))
        with m.If(mark(Stage.VALUE).valid):
            m.d.sync += write.eq(write + 1)
        m.d.comb += [
            temporary.write_enable.eq(Cat(enable.replicate(self.lanes // len(enables)) for enable in enables)),
            temporary.write_address.eq(write),
            temporary.write_data.eq(Cat(Cat(lane.value, lane.zero_point) for lane in lanes)),
        ]
        for name, values in (("largest", "key"), ("opposite", "opposite")):
            m.submodules[name] = largest = Largest(self.lanes, bits=KEY_BITS, floor=0)
            m.d.comb += [
                largest.mark.eq(mark(Stage.KEY)),
                largest.values.eq(Cat(getattr(lane, values) for lane in lanes)),
                getattr(scales, name).eq(largest.largest),
            ]
        m.submodules.total = total = Total(self.lanes, bits=ADDEND_BITS, sum_bits=SUM_BITS)
        m.d.comb += [
            total.mark.eq(mark(Stage.ADDEND)),
            total.values.eq(Cat(lane.addend for lane in lanes)),
            scales.total.eq(Pipeline(m, total.total, Stage.ADDEND + total.latency, "total").at(self.row_stages.start)),
        ]

    def _address(self, m: Module, first: FirstPass, word: Pipeline) -> None:
        """Address the memories, each so that its data arrive in the stage in which the lanes take them."""
        parameter = Signal(first.operation.parameter.shape(), reset_less=True)
        m.d.sync += parameter.eq(first.operation.parameter + first.word.index)
        before = Stage.LATE - 1
        late, at = Pipeline(m, parameter, 1, "parameter").at(before), word.at(before)
        norm = Pipeline(m, first.operation.norm, 0, "norm").at(before)
        m.d.comb += [
            self.y_a_address.eq(first.word.pointer),
            self.y_b_address.eq(at.other),
            self.x_address.eq(at.pointer),
            self.x_reads.eq(at.valid & norm),
            self.p_address.eq(late),
            self.h_address.eq(late),
        ]

    @staticmethod
    def _control(m: Module, operation: Value) -> Signal:
        """Return the control of the lanes for a word of the operation."""
        control = Signal(LANE_CONTROL, name="lane_control")
        rotation = Mux(operation.rotated, ROPE_BITS, 0)
        m.d.comb += [
            *assign(control, operation, "norm", "swiglu", "softmax", "cache"),
            control.rotate.eq(operation.rotated),
            control.shift.eq(Mux(operation.norm, operation.shift, Mux(operation.swiglu, FRACTION_BITS, rotation))),
        ]
        return control

    def _mask(self, m: Module, first: FirstPass, word: Pipeline) -> Pipeline:
        """Return which scores of a word are valid, from MASK on."""
        operation = first.operation
        m.submodules.mask = mask = ScoreMask(self.lanes)
        m.d.comb += [
            mask.begin.eq(first.passes),
            mask.valid.eq(word.at(Stage.MASK - 1).valid),
            *assign(mask, operation, "sink_words", "sinks", "ring"),
        ]
        return Pipeline(m, mask.mask, Stage.MASK, "mask")

    def _peak(self, m: Module, first: FirstPass, word: Pipeline, mask: Pipeline) -> Signal:
        """Return the largest score of the row whose weights are computed, as EARLY needs it."""
        m.submodules.peak = peak = Largest(self.lanes, bits=32, floor=_LEAST)
        valid, scores = mask.at(Stage.MASK), Pipeline(m, self.y_a_data, Stage.EARLY, "score_word").at(Stage.MASK)
        masked = Signal(peak.values.shape(), name="masked_scores", reset_less=True)
        for lane in range(self.lanes):
            m.d.sync += masked[lane].eq(Mux(valid[lane], scores.word_select(lane, 32).as_signed(), _LEAST))
        at = word.at(Stage.SCORE)
        m.d.comb += [peak.values.eq(masked), peak.mark.valid.eq(at.valid & at.peak), peak.mark.first.eq(at.first)]
        top = Signal(signed(32), reset_less=True)
        # The following pass over scores does not change it, and the pass over weights carries it along.
        known = word.at(Stage.SCORE + peak.latency)
        with m.If(known.valid & known.peak):
            m.d.sync += top.eq(peak.largest)
        return top

    def _end_rows(self, m: Module, first: FirstPass, rows: Rows, scales: RowScales) -> None:
        """Hand a row whose statistics stand to the scalars, and tell the second pass when its inverse will be there."""
        operation, start = first.operation, self.row_stages.start
        number = Signal(range(VECTOR_ROWS), name="ending")
        with m.If(first.ends):
            m.d.sync += number.eq(number + 1)
        ending = Signal(MEASURED_ROW, name="ending_row")
        m.d.comb += [
            ending.valid.eq(first.ends),
            ending.number.eq(number),
            *assign(ending, operation, "norm", "softmax", "rope", "cache", "wide"),
        ]
        row = Pipeline(m, ending, 0, "ending", is_cleared=True)
        epsilon, one_over_n = (self.p_data.word_select(lane, 32) for lane in range(2))
        share = Signal(SCALE, name="share_scale")
        m.d.comb += [
            share.mantissa.eq(one_over_n[:16]),
            share.exponent.eq(one_over_n[16:24].as_signed()),
            scales.row.eq(row.at(start)),
            scales.epsilon.eq(Pipeline(m, epsilon, Stage.LATE, "epsilon").at(start)),
            scales.one_over_n.eq(Pipeline(m, share, Stage.LATE, "one_over_n").at(start)),
            rows.measured_number.eq(row.at(start).number),
            scales.factor.mantissa.eq(rows.measured_row.mantissa),
            scales.factor.exponent.eq(rows.measured_row.exponent.as_signed()),
            rows.measured.eq(row.at(MEASURE_LATENCY).valid),
        ]

    def _second_pass(self, m: Module, rows: Rows, scales: RowScales, temporary: Ram) -> None:
        """Turn the values into codes and write them; write the row's scale when its last code has been written."""
        word = Pipeline(m, rows.word, 0, "coded", is_cleared=True)
        row = Pipeline(m, rows.coded, 0, "coded_row")
        read = Signal(range(self.config.temporary_words))
        with m.If(rows.word.valid):
            m.d.sync += read.eq(read + 1)
        m.d.comb += [temporary.read_address.eq(read), scales.inverse_number.eq(rows.word.number)]
        inverse = Pipeline(m, scales.inverse, 0, "inverse").at(CodeStage.READ)
        at_value, at_code = row.at(CodeStage.VALUE), row.at(CodeStage.CODE)
        m.d.comb += scales.zero_number.eq(word.at(CodeStage.VALUE).number)
        coders = []
        for number in range(self.lanes):
            coder = place(m, f"coder_{number}", Coder, self.config, inline=self.inline)
            held = temporary.read_data.word_select(number, _HELD_BITS)
            m.d.comb += [
                coder.value.eq(held[:32]),
                coder.zero_point.eq(held[32:]),
                coder.inverse.eq(inverse),
                *assign(coder.control, row.at(CodeStage.VALUE - 1), "softmax", "cache", "wide"),
                coder.zero.eq(scales.zero),
            ]
            coders.append(coder)

        coded = word.at(CodeStage.CODE)
        m.d.comb += [
            self.a_enable.eq(coded.valid & ~at_code.cache & ~at_code.null),
            self.a_row.eq(at_code.row),
            self.a_data.eq(Cat(coder.code for coder in coders)),
        ]
        m.d.sync += self.a_address.eq(at_value.destination * self.codes_per_segment + word.at(CodeStage.VALUE).index)

        m.submodules.zeros = zeros = Total(self.lanes, bits=CODE_SUM_BITS, sum_bits=32)
        addend = word.at(CodeStage.CODE + 1)
        ready = CodeStage.CODE + 1 + zeros.latency
        zero_sum = Pipeline(m, zeros.total, ready, "zero_sum").at(CodeStage.LAST)
        m.d.comb += [*assign(zeros.mark, addend, "valid", "first"), zeros.values.eq(Cat(coder.addend for coder in coders))]
        landed, late = word.at(CodeStage.LAST), row.at(CodeStage.LAST)
        lands = landed.valid & landed.last
        m.d.comb += [
            scales.scale_number.eq(landed.number),
            self.scale_enable.eq(lands & ~late.cache & ~late.null),
            self.scale_address.eq(late.scale),
            *assign(self.scale_data, scales.scale, "mantissa", "exponent"),
            self.scale_data.zero_sum.eq(zero_sum),
            self.retire.eq(lands & late.is_last),
        ]
        self._pack(m, word, row, coders, lands & late.cache & ~late.null, late.entry, scales)

    def _pack(self, m: Module, word: Pipeline, row: Pipeline, coders: list, finish: Value, entry: Value, scales: RowScales) -> None:
        """Collect the codes of a cache row, and finish the entry when the row has landed."""
        m.submodules.pack = pack = PackBuffer(self.lanes)
        coming, of_coming = word.at(CodeStage.CODE - 1), row.at(CodeStage.CODE - 1)
        collected, of_collected = word.at(CodeStage.CODE + 1), row.at(CodeStage.CODE + 1)
        # Lengths are in words of V codes; 32 codes are one part of a head.
        words_per_32 = max(1, 32 // self.lanes)
        zero = Pipeline(m, scales.zero, CodeStage.VALUE, "zero").at(CodeStage.LAST)
        m.d.comb += [
            pack.valid.eq(coming.valid & of_coming.cache & ~of_coming.null),
            *assign(pack, coming, "first", "index"),
            pack.spread.eq(Mux(of_coming.value, of_coming.length >> (words_per_32.bit_length() - 1), 1)),
            pack.store.eq(collected.valid & collected.last & of_collected.cache & ~of_collected.null),
            pack.wide.eq(row.at(CodeStage.CODE).wide),
            pack.entry.eq(of_collected.entry),
            pack.finish.eq(finish),
            pack.finished_entry.eq(entry),
            pack.parameter.eq(Cat(scales.scale.mantissa, scales.scale.exponent[:8], zero)),
            pack.pack_address.eq(self.pack_address),
            self.pack_data.eq(pack.pack_data),
        ]
        m.d.comb += [pack.codes[number].eq(coder.code) for number, coder in enumerate(coders)]
