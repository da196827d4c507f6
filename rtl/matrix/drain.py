"""The drain: after a capture it names one result word a cycle, which is brought together from the sums in the slices."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from rtl.interfaces import assign
from rtl.matrix.records import BLOCK, WORD_FLAGS, drained_word

__all__ = ["Drain"]


class Drain(wiring.Component):
    """Words of a block captured in cycle c appear in cycles c + 1 .. c + D, on `flags` and `word`.

    Members:
        capture, block: a capture and its block.
        free_now, free_soon: a capture in this cycle, or in the next, would not overtake the words of the last one.
        flags, word: the word of this cycle (stage DRAIN - 1).
        clear: forget the block.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "capture": In(1),
                "block": In(BLOCK),
                "free_now": Out(1, init=1),
                "free_soon": Out(1, init=1),
                "flags": Out(WORD_FLAGS),
                "word": Out(drained_word(config)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, words = self.config.vector.lanes, self.config.drain_words
        lane_shift = lanes.bit_length() - 1
        block = Signal(BLOCK, name="captured", reset_less=True)
        # Words left, the one of this cycle included, and those of a captured block: known before it is.
        left, captured_words = Signal(10), Signal(10)
        row, row_address = Signal(3), Signal.like(block.address)
        position, group = Signal.like(block.position), Signal(range(max(2, words)))
        # The group of lanes of every slice that an AXPY's word comes from.
        source = Signal(range(LANES_PER_SLICE), reset_less=True)
        is_last_row = row + 1 == block.rows
        # Base-2 logarithm of the values that a nibble of every slice makes.
        held = Signal(2)
        m.d.comb += held.eq(block.segments - block.wide)
        word = self.word
        target = position >> lane_shift

        m.d.comb += [
            self.flags.written.eq((left != 0) & block.writes),
            self.flags.retire.eq((left == 1) & block.final),
            *assign(word, block, "axpy", "segments", "wide", "destination"),
            word.keys.eq(block.keys & (row == 0)),
            word.row.eq(row),
            word.group.eq(group),
            word.source.eq(source),
            word.lane.eq(position[:lane_shift]),
            word.scale.eq(block.scale + row),
            word.address.eq(row_address + target),
            word.side.eq(block.side + target),
            captured_words.eq(Mux(self.block.writes, self.block.words, 1)),
        ]
        with m.If(self.capture):
            m.d.sync += [
                block.eq(self.block),
                row.eq(0),
                row_address.eq(self.block.address),
                position.eq(self.block.position),
                group.eq(0),
                source.eq(0),
            ]
        with m.Elif(is_last_row):
            m.d.sync += [
                row.eq(0),
                row_address.eq(block.address),
                position.eq(position + Mux(block.axpy, self.config.mixed_lanes << held, lanes)),
                group.eq(group + 1),
                source.eq(source + 1),
            ]
        with m.Else():
            m.d.sync += [row.eq(row + 1), row_address.eq(row_address + block.stride)]
        m.d.sync += [
            left.eq(Mux(self.capture, captured_words, Mux(left == 0, 0, left - 1))),
            self.free_now.eq(Mux(self.capture, captured_words <= 1, left <= 2)),
            self.free_soon.eq(Mux(self.capture, captured_words <= 2, left <= 3)),
        ]
        with m.If(self.clear):
            m.d.sync += [left.eq(0), self.free_now.eq(1), self.free_soon.eq(1)]
        return m
