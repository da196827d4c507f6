"""The vector unit: sequencer, lanes, reductions and scales wired to the engine's memories."""

from amaranth import Cat, Const, Module, Mux, ResetInserter, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import KvQuant, Norm
from hwsim.arch.numerics import FRACTION_BITS, ROPE_BITS
from hwsim.arch.timing import KV_SCALAR, NORM_SCALAR, PASS_LATENCY, QUANT_SCALAR, SOFTMAX_SCALAR
from hwsim.errors import ConfigError
from rtl.arithmetic import SHIFT_LIMIT
from rtl.instance import place
from rtl.interfaces import PACK_ENTRY, SCALE_ENTRY, UnitSizes, address_bits, command_port, read_port
from rtl.ram import Ram
from rtl.vector.lane import LANE_CONTROL, SHIFT_BITS, Lane, Stage
from rtl.vector.mask import ScoreMask
from rtl.vector.operation import LENGTH_BITS
from rtl.vector.pack import PackBuffer
from rtl.vector.reduce import tree_stages
from rtl.vector.row_scales import INVERSE_STEP, LAST_STEP, ZERO_BITS, ZERO_STEP, RowScales
from rtl.vector.sequencer import Sequencer
from rtl.vector.statistics import Statistics

__all__ = ["Vector", "check_timing"]

_SEGMENT = 64


def check_timing(lanes: int) -> None:
    """Raise ConfigError when the timing law leaves less time than the circuit takes."""
    # The sum over the last word's codes must be there when the row has landed.
    needed = Stage.CODE + 1 + tree_stages(lanes)
    if needed > PASS_LATENCY:
        raise ConfigError(f"PASS_LATENCY must be at least {needed} cycles, not {PASS_LATENCY}")
    # Registers hold the inverse once more before the first word's operands; the scale is read when the row has landed.
    needed = max(INVERSE_STEP + 1 - Stage.LATE, ZERO_STEP - Stage.VALUE, LAST_STEP - 1 - PASS_LATENCY)
    scalar_phases = {"NORM": NORM_SCALAR, "QUANT": QUANT_SCALAR, "SOFTMAX": SOFTMAX_SCALAR, "KV": KV_SCALAR}
    for name, cycles in scalar_phases.items():
        if cycles < needed:
            raise ConfigError(f"{name}_SCALAR must be at least {needed} cycles, not {cycles}")


class Vector(wiring.Component):
    """NORM, QUANT, SWIGLU, ROPE, SOFTMAX and KVQUANT, one at a time; golden `hwsim.arch.numerics`, time docs/engine.md.

    Reads two copies of the result memory (`y_a`, `y_b`), residual (`x`), parameter (`p`) and value-parameter memory
    (`h`); writes `a_data`, the codes of one word, to row `a_row` at `a_address` (in words of V codes), and entries of
    the scale file; the mover reads the pack buffer. `clear` forgets the instruction under way.

    The temporary memory holds one row: as many words as a length field can name, at most those of the result memory.
    With `inline` the lanes are part of the circuit; otherwise instances of the Verilog module of `Lane`.
    Raises ConfigError when the constants of the timing law are below what the circuit needs.
    """

    def __init__(self, config: EngineConfig, *, inline: bool = True):
        check_timing(config.vector.lanes)
        self.config, self.inline = config, inline
        self.sizes = sizes = UnitSizes(config)
        self.lanes = sizes.lanes
        self.temporary_words = min(1 << Norm.field("length").width, config.buffer.result_words)
        self.codes_per_segment = _SEGMENT // self.lanes
        super().__init__(
            {
                **command_port(),
                **read_port("y_a", sizes.result, sizes.word_bits),
                **read_port("y_b", sizes.result, sizes.word_bits),
                **read_port("x", sizes.residual, sizes.word_bits),
                **read_port("p", sizes.parameter, sizes.word_bits),
                **read_port("h", sizes.side, sizes.word_bits),
                "a_enable": Out(1),
                "a_row": Out(3),
                "a_address": Out(address_bits(config.buffer.activation_segments * self.codes_per_segment)),
                "a_data": Out(8 * self.lanes),
                "scale_enable": Out(1),
                "scale_address": Out(sizes.scales),
                "scale_data": Out(SCALE_ENTRY),
                "pack_address": In(KvQuant.field("entry").width),
                "pack_data": Out(PACK_ENTRY),
                "busy": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sequencer = Sequencer()
        m.submodules.sequencer = ResetInserter(self.clear)(sequencer)
        m.d.comb += [
            sequencer.command.eq(self.command),
            sequencer.command_valid.eq(self.command_valid),
            self.issue.eq(sequencer.issue),
            self.retire.eq(sequencer.retire),
            self.busy.eq(sequencer.busy),
        ]

        # Where the words of the pass under way are: one entry for each stage of the lanes.
        last_stage = Stage.CODE + 1
        valid = _delayed(m, "valid", sequencer.select, last_stage, reset_less=False)
        after_last = _delayed(m, "after_last", sequencer.after_last, Stage.LATE, reset_less=False)
        index = _delayed(m, "index", sequencer.index, last_stage)

        m.submodules.statistics = statistics = Statistics(self.lanes)
        scales = self._add_scales(m, sequencer, statistics, after_last[Stage.LATE])
        m.submodules.temporary = temporary = Ram(depth=self.temporary_words, lanes=1, lane_bits=self.sizes.word_bits)
        self._add_addresses(m, sequencer, index, temporary)
        control = self._add_control(m, sequencer, scales)
        lanes = self._add_lanes(m, sequencer, control, statistics.largest, valid, temporary)
        m.d.comb += [
            temporary.write_enable.eq(valid[Stage.VALUE] & sequencer.gather),
            temporary.write_address.eq(index[Stage.VALUE]),
            temporary.write_data.eq(Cat(lane.value for lane in lanes)),
        ]
        self._add_statistics(m, sequencer, valid, lanes, statistics)
        self._add_results(m, sequencer, scales, statistics.total, valid, index, lanes)
        return m

    def _add_addresses(self, m: Module, sequencer: Sequencer, index: list[Value], temporary: Ram) -> None:
        """Address the memories, each so that its data arrive in the stage in which the lanes take them."""
        operation = sequencer.operation
        late = index[Stage.LATE - 2]
        half = operation.length >> 1
        partner = Signal(LENGTH_BITS, reset_less=True)
        before = index[Stage.LATE - 3]
        late_address, other_address = (
            Signal(14, name=name, reset_less=True) for name in ("late_address", "other_address")
        )
        m.d.sync += [
            partner.eq(Mux(before < half, before + half, before - half)),
            late_address.eq(sequencer.source + late),
            other_address.eq(Mux(operation.swiglu, sequencer.up + late, sequencer.source + partner)),
            self.p_address.eq(operation.parameter + late),
            # Zero points are multiplied with codes.
            self.h_address.eq(operation.parameter + Mux(sequencer.quantize, index[Stage.CODE - 2], late)),
            temporary.read_address.eq(late),
        ]
        early = operation.swiglu | (operation.softmax & sequencer.gather)
        m.d.comb += [
            self.y_a_address.eq(Mux(early, sequencer.pointer, late_address)),
            self.y_b_address.eq(other_address),
            self.x_address.eq(late_address),
        ]

    def _add_control(self, m: Module, sequencer: Sequencer, scales: RowScales) -> Signal:
        """Return what the lanes are told during the pass under way."""
        operation = sequencer.operation
        control = Signal(LANE_CONTROL)
        multiplier = Signal(16, reset_less=True)
        shift = Signal(SHIFT_BITS, reset_less=True)
        needed = Signal(signed(11))
        m.d.comb += [
            needed.eq(-scales.inverse.exponent),
            control.peak.eq(sequencer.peak),
            control.quantize.eq(sequencer.quantize),
            control.norm.eq(operation.norm),
            control.swiglu.eq(operation.swiglu),
            control.rotate.eq(operation.rotated & ~sequencer.quantize),
            control.softmax.eq(operation.softmax),
            control.cache.eq(operation.cache),
            control.shift.eq(shift),
            control.multiplier.eq(multiplier),
            control.zero.eq(scales.zero),
        ]
        m.d.sync += multiplier.eq(scales.inverse.mantissa)
        with m.If(sequencer.quantize):
            m.d.sync += shift.eq(Mux(needed < 0, 0, Mux(needed > SHIFT_LIMIT, SHIFT_LIMIT, needed)))
        with m.Elif(operation.norm):
            m.d.sync += shift.eq(operation.shift)
        with m.Elif(operation.swiglu):
            m.d.sync += shift.eq(FRACTION_BITS)
        with m.Else():
            m.d.sync += shift.eq(Mux(operation.rotated, ROPE_BITS, 0))
        return control

    def _add_lanes(
        self, m: Module, sequencer: Sequencer, control: Signal, largest: Value, valid: list[Value], temporary: Ram
    ) -> list:
        """Add the lanes, with the mask of valid scores; return them."""
        operation = sequencer.operation
        m.submodules.mask = mask = ScoreMask(self.lanes)
        m.d.comb += [
            mask.begin.eq(sequencer.begin),
            mask.valid.eq(valid[Stage.LATE - 1]),
            mask.sink_words.eq(operation.sink_words),
            mask.sinks.eq(operation.sinks),
            mask.ring.eq(operation.ring),
        ]
        # The largest score stays while the pass it begins finds the largest weight.
        top = Signal(signed(32), reset_less=True)
        with m.If(sequencer.begin):
            m.d.sync += top.eq(largest)
        words = {name: getattr(self, f"{name}_data") for name in ("y_a", "y_b", "x", "p", "h")}
        words["z"] = temporary.read_data
        lanes = []
        for number in range(self.lanes):
            lane = place(m, f"lane_{number}", Lane, self.config, inline=self.inline)
            m.d.comb += [lane.control.eq(control), lane.mask.eq(mask.mask[number]), lane.top.eq(top)]
            m.d.comb += [getattr(lane, name).eq(word.word_select(number, 32)) for name, word in words.items()]
            lanes.append(lane)
        return lanes

    def _add_statistics(
        self, m: Module, sequencer: Sequencer, valid: list[Value], lanes: list, statistics: Statistics
    ) -> None:
        """Take maxima and sum over the words of a pass."""
        adds = Mux(
            sequencer.quantize,
            valid[Stage.CODE],
            Mux(sequencer.operation.norm, valid[Stage.PRODUCT], valid[Stage.OPERAND]),
        )
        addend_valid = Signal()
        m.d.sync += addend_valid.eq(adds)
        m.d.comb += [
            statistics.begin_maxima.eq(sequencer.begin & ~sequencer.quantize),
            statistics.begin_sum.eq(sequencer.begin),
            # Scores may all be negative; magnitudes, and the ends of a range with zero in it, are not.
            statistics.signed_maximum.eq(sequencer.peak),
            statistics.keys_valid.eq(valid[Stage.CODE] & ~sequencer.quantize),
            statistics.addends_valid.eq(addend_valid),
        ]
        for number, lane in enumerate(lanes):
            m.d.comb += [
                statistics.keys[number].eq(lane.key),
                statistics.opposites[number].eq(lane.opposite),
                statistics.addends[number].eq(lane.addend),
            ]

    def _add_scales(self, m: Module, sequencer: Sequencer, statistics: Statistics, constants: Value) -> RowScales:
        """Add the scalar phase; `constants` says that the parameter memory's data are the constants of NORM."""
        operation = sequencer.operation
        m.submodules.scales = scales = RowScales()
        with m.If(constants & sequencer.gather):
            epsilon, one_over_n = (self.p_data.word_select(lane, 32) for lane in range(2))
            m.d.sync += [
                scales.epsilon.eq(epsilon),
                scales.one_over_n.mantissa.eq(one_over_n[:16]),
                scales.one_over_n.exponent.eq(one_over_n[16:24].as_signed()),
            ]
        m.d.comb += [
            scales.start.eq(sequencer.measured),
            scales.norm.eq(operation.norm),
            scales.softmax.eq(operation.softmax),
            scales.cache.eq(operation.cache),
            scales.rope.eq(operation.rotated & ~operation.cache),
            scales.factor.mantissa.eq(operation.mantissa),
            scales.factor.exponent.eq(operation.exponent.as_signed()),
            scales.largest.eq(statistics.largest),
            scales.opposite.eq(statistics.opposite),
            scales.total.eq(statistics.total),
        ]
        return scales

    def _add_results(
        self,
        m: Module,
        sequencer: Sequencer,
        scales: RowScales,
        total: Value,
        valid: list[Value],
        index: list[Value],
        lanes: list,
    ) -> None:
        """Write codes to the activation memory or the pack buffer, and what they stand for when the row has landed."""
        operation = sequencer.operation
        coded = Signal()
        m.d.comb += [
            coded.eq(valid[Stage.CODE] & sequencer.quantize),
            self.a_enable.eq(coded & ~operation.cache),
            self.a_row.eq(sequencer.row),
            self.a_data.eq(Cat(lane.code for lane in lanes)),
            self.scale_enable.eq(sequencer.landed & ~operation.cache),
            self.scale_address.eq(operation.scale + sequencer.landed_row),
            self.scale_data.mantissa.eq(scales.scale.mantissa),
            self.scale_data.exponent.eq(scales.scale.exponent),
            self.scale_data.zero_sum.eq(Mux(operation.softmax, total[:32], 0)),
        ]
        m.d.sync += self.a_address.eq(operation.destination * self.codes_per_segment + index[Stage.CODE - 1])

        m.submodules.pack = pack = PackBuffer(self.lanes)
        # Lengths are in words of V codes; 32 codes are one cache word.
        words_per_32 = max(1, 32 // self.lanes)
        m.d.comb += [
            pack.clear.eq(sequencer.begin & sequencer.gather),
            pack.valid.eq(coded & operation.cache),
            pack.index.eq(index[Stage.CODE]),
            pack.spread.eq(Mux(operation.value, operation.length >> (words_per_32.bit_length() - 1), 1)),
            pack.store.eq(sequencer.landed & operation.cache),
            pack.entry.eq(operation.entry),
            pack.parameter.eq(
                Cat(scales.scale.mantissa, scales.scale.exponent[:8], scales.zero, Const(0, 8 - ZERO_BITS))
            ),
            pack.pack_address.eq(self.pack_address),
            self.pack_data.eq(pack.pack_data),
        ]
        m.d.comb += [pack.codes[number].eq(lane.code[:4]) for number, lane in enumerate(lanes)]


def _delayed(m: Module, name: str, signal: Value, cycles: int, *, reset_less: bool = True) -> list[Value]:
    """Return the signal and its delays by 1 .. cycles."""
    delays: list[Value] = [signal]
    for cycle in range(1, cycles + 1):
        held = Signal.like(signal, name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += held.eq(delays[-1])
        delays.append(held)
    return delays
