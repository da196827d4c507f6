"""The drain: after a capture it names one result word a cycle, which is brought together from the sums in the slices."""

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from rtl.interfaces import assign
from rtl.matrix.records import BLOCK, WORD_FLAGS, drained_word
from rtl.matrix.stages import LEAVE, TREE
from rtl.pipeline import Pipeline

__all__ = ["Drain", "LaneTree", "choose_group"]


class Drain(wiring.Component):
    """Words of a block captured in cycle c appear in cycles c + 1 .. c + D, on `flags` and `word`.

    Members:
        capture, block: a capture and its block.
        free_now, free_soon: a capture in this cycle, or in the next, would not overtake the words of the last one.
        flags, word: the word of this cycle (stage DRAIN).
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
        # Words left, the one of this cycle included.
        left, after = Signal(10), Signal(10)
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
            after.eq(Mux(left == 0, 0, left - 1)),
        ]
        with m.If(self.capture):
            per_row = Mux(self.block.axpy, self.config.mixed_words, words)
            m.d.comb += after.eq(Mux(self.block.writes, self.block.rows * per_row, 1))
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
        m.d.sync += [left.eq(after), self.free_now.eq(after <= 1), self.free_soon.eq(after <= 2)]
        with m.If(self.clear):
            m.d.sync += [left.eq(0), self.free_now.eq(1), self.free_soon.eq(1)]
        return m


def choose_group(m: Module, values: list[Value], group: Value, lanes: int, name: str) -> list[Signal]:
    """Return, a cycle later, a value a lane: of slice group * lanes + lane, or lane % slices when these are fewer."""
    chosen = []
    for lane in range(lanes):
        result = Signal(len(values[0]), name=f"{name}_{lane}", reset_less=True)
        sources = values[lane % len(values) :: lanes]
        m.d.sync += result.eq(Array(sources)[group] if len(sources) > 1 else sources[0])
        chosen.append(result)
    return chosen


class LaneTree(wiring.Component):
    """Sums lane values (stage TREE) over slices of equal s % W; the W sums of the lanes lie side by side (stage LEAVE - 1).

    `segments` (stage LEAVE - 1) is the base-2 logarithm of W; W is at most the slices, the lanes of a word, and 8. With
    `wide` (the same stage) the sums are of low and high nibbles in turn, and each two of them make one.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        lane_sums = data.ArrayLayout(signed(config.lane_bits), config.mixed_lanes)
        super().__init__(
            {
                "lane_sums": In(data.ArrayLayout(lane_sums, config.tile.slices)),
                "segments": In(2),
                "wide": In(1),
                "word": Out(data.ArrayLayout(32, config.vector.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slices, lanes, mixed = self.config.tile.slices, self.config.vector.lanes, self.config.mixed_lanes
        taps = [self._sums(m, [self.lane_sums[index][lane] for index in range(slices)], f"lane_{lane}") for lane in range(mixed)]
        sums, uppers = ([Signal(32, name=f"{name}_{lane}") for lane in range(lanes)] for name in ("chosen", "upper"))
        with m.Switch(self.segments):
            for segments in range(4):
                held = 1 << segments if 1 << segments in taps[0] else 1
                with m.Case(segments):
                    for lane in range(lanes):
                        group, place = divmod(lane, held)
                        chosen = taps[group % mixed][held][place]
                        if held > 1:
                            group, place = divmod(lane, held // 2)
                            pair = taps[group % mixed][held][2 * place : 2 * place + 2]
                            chosen = Mux(self.wide, pair[0], chosen)
                            m.d.comb += uppers[lane].eq(pair[1])
                        m.d.comb += sums[lane].eq(chosen)
        m.d.comb += [self.word[lane].eq(sums[lane] + Mux(self.wide, uppers[lane] << 4, 0)) for lane in range(lanes)]
        return m

    def _sums(self, m: Module, values: list[Value], name: str) -> dict[int, list[Value]]:
        """Return, for each G, the G sums of one lane, at stage LEAVE - 1."""
        stage = TREE
        taps: dict[int, list[Value]] = {}
        while True:
            if len(values) <= min(8, self.config.vector.lanes):
                late = [Pipeline(m, value, stage, f"{name}_tap_{len(values)}_{n}") for n, value in enumerate(values)]
                taps[len(values)] = [value.at(LEAVE - 1) for value in late]
            if len(values) == 1:
                return taps
            half = len(values) // 2
            sums = []
            for index in range(half):
                total = Signal(signed(min(32, len(values[0]) + 1)), name=f"{name}_sum_{half}_{index}", reset_less=True)
                m.d.sync += total.eq(values[index] + values[index + half])
                sums.append(total)
            values, stage = sums, stage + 1
