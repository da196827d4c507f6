"""Result words from the sums in the slices: a choice of slices (DOT), a tree of sums over slices (AXPY)."""

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.matrix.records import lane_bits
from rtl.matrix.stages import LEAVE, TREE
from rtl.pipeline import Pipeline

__all__ = ["LaneTree", "choose_group"]


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
        lane_sums = data.ArrayLayout(signed(lane_bits(config)), config.mixed_lanes)
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
