"""How what the slices hold becomes result words: a choice of slices (DOT), a tree of sums over slices (AXPY)."""

from amaranth import Array, Module, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.matrix.records import lane_bits
from rtl.matrix.stages import LEAVE, TREE

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
    """Sums lane values (stage TREE) over slices of equal s % G, and spreads the G sums over a word (stage LEAVE - 1).

    `segments` (stage LEAVE - 1) is the base-2 logarithm of G; G is at most the slices, the lanes of a word, and 8.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "lane_sums": In(data.ArrayLayout(signed(lane_bits(config)), config.tile.slices)),
                "segments": In(2),
                "word": Out(data.ArrayLayout(32, config.vector.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slices, lanes = self.config.tile.slices, self.config.vector.lanes
        values: list[Value] = [self.lane_sums[index] for index in range(slices)]
        stage = TREE
        taps: dict[int, list[Value]] = {}
        while True:
            if len(values) <= min(8, lanes):
                taps[len(values)] = self._delay(m, values, LEAVE - 1 - stage)
            if len(values) == 1:
                break
            half = len(values) // 2
            sums = []
            for index in range(half):
                total = Signal(signed(min(32, len(values[0]) + 1)), name=f"sum_{half}_{index}", reset_less=True)
                m.d.sync += total.eq(values[index] + values[index + half])
                sums.append(total)
            values, stage = sums, stage + 1
        with m.Switch(self.segments):
            for segments in range(4):
                sums = taps.get(1 << segments, taps[1])
                with m.Case(segments):
                    m.d.comb += [self.word[lane].eq(sums[lane % len(sums)]) for lane in range(lanes)]
        return m

    def _delay(self, m: Module, values: list[Value], cycles: int) -> list[Value]:
        for cycle in range(cycles):
            later = [
                Signal(value.shape(), name=f"tap_{len(values)}_{cycle}_{index}", reset_less=True)
                for index, value in enumerate(values)
            ]
            m.d.sync += [register.eq(value) for register, value in zip(later, values, strict=True)]
            values = later
        return values
