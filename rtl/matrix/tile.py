"""A tile: the slices of one port, and the registers in which words, activations and control reach them."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import SLICE_BITS, EngineConfig
from rtl.instance import Shared, place
from rtl.interfaces import assign
from rtl.matrix.records import STEP, coefficient_bits, input_bits, lane_bits
from rtl.matrix.slice import SUM_BITS, Slice
from rtl.matrix.stages import DECODE
from rtl.pipeline import Pipeline

__all__ = ["Tile"]


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
            "lane_sums": Out(data.ArrayLayout(data.ArrayLayout(signed(lane_bits(config)), config.mixed_lanes), slices)),
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
        word = Pipeline(m, beat, 1, "beat").at(DECODE)
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
