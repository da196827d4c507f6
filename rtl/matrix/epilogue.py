"""The epilogue: raw words times their scales, plus residual or bias, written to their memories."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Destination
from rtl.arithmetic import SCALE, ApplyScale, Combine, saturate
from rtl.copies import copies
from rtl.interfaces import SCALE_ENTRY, UnitSizes, assign, lane_write_port, read_port
from rtl.matrix.records import ENTRY, drained_word
from rtl.matrix.stages import APPLIED, ENTRY_WRITE, LEAVE, RESULT_READ, SCALE_READ, WRITE
from rtl.pipeline import Pipeline

__all__ = ["Epilogue", "result_ports"]


def result_ports(config: EngineConfig) -> dict:
    """Return the ports to memories: reads of residual `x` and bias `p`; writes of result `y`, residual and value parameters `h`."""
    sizes = UnitSizes(config)
    return (
        read_port("x", sizes.residual, sizes.word_bits)
        | read_port("p", sizes.parameter, sizes.word_bits)
        | lane_write_port("y", sizes.result, sizes.lanes)
        | lane_write_port("x_write", sizes.residual, sizes.lanes)
        | lane_write_port("h", sizes.side, sizes.lanes)
    )


_LANES_A_COPY = 8
"""Lanes whose operands one register chooses: it has a load a bit."""


class Epilogue(wiring.Component):
    """One word a cycle; stages are those of `rtl.matrix.stages`.

    Members:
        word, entries, entry (stage SCALE_READ + 1): the word's description; each lane's row scale (mantissa and
            exponent) and value parameter; the scale file's entry.
        raw (stage LEAVE): accumulators.
        entries_written (stage ENTRY_WRITE), reads (stage RESULT_READ), written (stage WRITE): whether the word is one to write.
        x, p: read ports of residual and bias; x_address is zero while no residual is read.
        y, x_write, h: write ports.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        lanes = config.vector.lanes
        super().__init__(
            {
                "word": In(drained_word(config)),
                "entries": In(data.ArrayLayout(ENTRY, lanes)),
                "entry": In(SCALE_ENTRY),
                "raw": In(data.ArrayLayout(32, lanes)),
                "entries_written": In(1),
                "reads": In(1),
                "written": In(1),
            }
            | result_ports(config)
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.config.vector.lanes
        start = SCALE_READ + 1
        word = Pipeline(m, self.word, start, "word")
        zero_sum = Pipeline(m, self.entry.zero_sum, start, "zero_sum").at(LEAVE - 1)
        lacking = Signal(32, reset_less=True)
        m.d.sync += lacking.eq(Mux(word.at(LEAVE - 1).axpy, zero_sum, 0))
        is_axpy = copies(m, self.word.axpy, -(-lanes // _LANES_A_COPY), "axpy")
        parameters = Pipeline(m, Cat(self.entries[lane].parameter for lane in range(lanes)), start, "parameters")
        at_entries = word.at(ENTRY_WRITE)
        results = Pipeline(
            m, Cat(self._scaled(m, lane, is_axpy[lane // _LANES_A_COPY], lacking) for lane in range(lanes)), APPLIED, "results"
        )
        finished = self._add(m, results.at(WRITE - 1), word.at(WRITE - 2).destination)

        at_read = word.at(RESULT_READ)
        is_residual = self.reads & ~at_read.axpy & (at_read.destination == Destination.RESIDUAL)
        m.d.comb += [self.x_address.eq(Mux(is_residual, at_read.address, 0)), self.p_address.eq(at_read.side)]
        at_write = word.at(WRITE)
        enable = Mux(self.written, self._enable(m, at_write), 0)
        is_parameter = self.entries_written & at_entries.keys
        to_residual = at_write.destination == Destination.RESIDUAL
        m.d.comb += [
            self.y_enable.eq(Mux(to_residual, 0, enable)),
            self.y_address.eq(at_write.address),
            self.y_data.eq(finished),
            self.x_write_enable.eq(Mux(to_residual, enable, 0)),
            self.x_write_address.eq(at_write.address),
            self.x_write_data.eq(finished),
            self.h_enable.eq(Mux(is_parameter, self._of_block(at_entries), 0)),
            self.h_address.eq(at_entries.side),
            self.h_data.eq(parameters.at(ENTRY_WRITE)),
        ]
        return m

    def _scaled(self, m: Module, lane: int, is_axpy: Value, lacking: Signal) -> Value:
        """Return a lane's value times its scale, at stage APPLIED."""
        row = self.entries[lane].row_scale
        m.submodules[f"combine_{lane}"] = combine = Combine()
        m.d.comb += [combine.a.mantissa.eq(row[:16]), combine.a.exponent.eq(row[16:].as_signed())]
        m.d.comb += assign(combine.b, self.entry, "mantissa", "exponent")
        entry = Signal(SCALE, name=f"entry_{lane}")
        m.d.comb += assign(entry, self.entry, "mantissa", "exponent")
        alone = Pipeline(m, entry, SCALE_READ + 1, f"entry_{lane}").at(SCALE_READ + 2)
        scale = Signal(SCALE, name=f"scale_{lane}", reset_less=True)
        m.d.sync += scale.eq(Mux(is_axpy, alone, combine.result))
        late = Pipeline(m, scale, SCALE_READ + 3, f"scale_{lane}", has_flip_flops=True).at(LEAVE + 1)
        value = Signal(signed(32), name=f"value_{lane}", reset_less=True)
        m.d.sync += value.eq(self.raw[lane] - lacking)
        m.submodules[f"apply_{lane}"] = apply = ApplyScale()
        m.d.comb += [apply.x.eq(value), apply.mantissa.eq(late.mantissa), apply.exponent.eq(late.exponent)]
        return apply.result

    def _add(self, m: Module, results: Value, destination: Value) -> Signal:
        """Return, a cycle later, the results plus the residual or bias word read for them, saturated.

        The destination is that of the cycle before.
        """
        finished = Signal(len(results), name="finished", reset_less=True)
        lanes = self.config.vector.lanes
        kinds = Cat(destination == Destination.RESIDUAL, destination == Destination.BIASED)
        added = copies(m, kinds, -(-lanes // _LANES_A_COPY), "added")
        for lane in range(lanes):
            is_residual, is_biased = added[lane // _LANES_A_COPY]
            addend = Signal(signed(32), name=f"addend_{lane}")
            total = Signal(signed(33), name=f"total_{lane}")
            with m.If(is_residual):
                m.d.comb += addend.eq(self.x_data.word_select(lane, 32))
            with m.Elif(is_biased):
                m.d.comb += addend.eq(self.p_data.word_select(lane, 32))
            m.d.comb += total.eq(results.word_select(lane, 32).as_signed() + addend)
            m.d.sync += finished.word_select(lane, 32).eq(saturate(total, 32))
        return finished

    def _of_block(self, word) -> Value:
        """Return the lanes of a word of a DOT: S values of a block, all when there are more slices."""
        lanes = self.config.vector.lanes
        shift = min(self.config.tile.slices, lanes).bit_length() - 1
        return Cat((word.lane >> shift) == (lane >> shift) for lane in range(lanes))

    def _enable(self, m: Module, word) -> Value:
        """Return the lanes of a word: of a DOT, or G of each mixed lane of an AXPY."""
        lanes = self.config.vector.lanes
        mixed_shift = self.config.mixed_lanes.bit_length() - 1
        held = Signal(2, name="held_bits")
        m.d.comb += held.eq(word.segments - word.wide)
        enables = []
        for lane in range(lanes):
            at = [(word.lane >> shift) == (lane >> shift) for shift in range(mixed_shift, mixed_shift + 4)]
            enables.append(Array(at)[held])
        return Mux(word.axpy, Cat(enables), self._of_block(word))
