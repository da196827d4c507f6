"""A region of the matrix unit: some of the tiles, what brings them their inputs, and what gathers their results."""

import dataclasses
from collections.abc import Mapping, Sequence

from amaranth import Array, Cat, Const, Module, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.adders import thirds
from rtl.copies import copies
from rtl.instance import place
from rtl.matrix.accumulator import SUM_BITS
from rtl.matrix.records import ENTRY, STEP, coefficient_bits, drained_word, input_bits
from rtl.matrix.slice import Tile
from rtl.matrix.stages import DECODE, DRAIN, HOP, LANE_DRAIN, ORDERED, PARAMETER, REGION_LEVELS, ROW_DRAIN, SENT, SUMS, SUMS_READY
from rtl.pipeline import Pipeline
from rtl.regions import region_tiles

__all__ = ["Region", "Share", "feeds", "pick", "pick_layout", "residues", "shares_of", "tiles_of"]


_FEEDS_A_COPY = 4
"""Feeds whose slices one register chooses: it has a load a bit."""


def feeds(config: EngineConfig) -> int:
    """Return how many words of different slices lie side by side in a drained word of a DOT: slice s feeds place s % feeds."""
    return min(config.tile.slices, config.vector.lanes)


def residues(config: EngineConfig) -> int:
    """Return by which number's remainder slices are summed in an AXPY before their sums are halved in number."""
    return min(8, config.vector.lanes, config.tile.slices)


def tiles_of(config: EngineConfig) -> Mapping[str, tuple[int, ...]]:
    """Return the tiles of each region of an engine."""
    return region_tiles(config.tile.ports, max(1, feeds(config) // config.tile.slices_per_port))


def pick_layout(config: EngineConfig) -> data.StructLayout:
    """Return the layout of which sums the slices and regions choose for a drained word."""
    return data.StructLayout({name: drained_word(config)[name].width for name in ("row", "source", "group")})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """What a region has of the slices of an engine.

    Attributes:
        slices: their numbers.
        fed, summed: the feeds, and the remainders of an AXPY, of which it has slices, in order.
        entries, row_sums, lane_sums: layouts of the outputs of `Region`.
    """

    slices: tuple[int, ...]
    fed: tuple[int, ...]
    summed: tuple[int, ...]
    entries: data.ArrayLayout
    row_sums: data.ArrayLayout
    lane_sums: data.ArrayLayout

    @classmethod
    def of(cls, config: EngineConfig, tiles: Sequence[int]) -> "Share":
        """Return the share of a region of some tiles."""
        per_port = config.tile.slices_per_port
        slices = tuple(port * per_port + index for port in tiles for index in range(per_port))
        fed = tuple(sorted({number % feeds(config) for number in slices}))
        summed = tuple(sorted({number % residues(config) for number in slices}))
        most = max(sum(number % residues(config) == one for number in slices) for one in summed)
        assert most <= 3**REGION_LEVELS, "REGION_LEVELS is below the depth of a region's tree"
        bits = min(32, config.lane_bits + (most - 1).bit_length())
        return cls(
            slices=slices,
            fed=fed,
            summed=summed,
            entries=data.ArrayLayout(ENTRY, len(fed)),
            row_sums=data.ArrayLayout(32, len(fed)),
            lane_sums=data.ArrayLayout(data.ArrayLayout(signed(bits), config.mixed_lanes), len(summed)),
        )


def shares_of(config: EngineConfig) -> Mapping[str, Share]:
    """Return the share of each region of an engine."""
    return {region: Share.of(config, tiles) for region, tiles in tiles_of(config).items()}


class Region(wiring.Component):
    """Some tiles; stages are those of `rtl.matrix.stages`, inputs of control come `hops` stages later than they were sent.

    Members:
        head, repeat (stage 0): the stream words of the tiles; whether those of the cycle before are used again.
        step, segments (stage SENT), pick (stage DRAIN): what the sequencer and the drain decided.
        slots, coefficients (stage ORDERED), sums (stage SUMS_READY): those of `Broadcast`.
        entries (stage PARAMETER + 1), row_sums (stage ROW_DRAIN + 2): of each of the feeds `fed`, in their order, what
            the chosen slice gives; zero where it lies in another region.
        lane_sums (stage TREE + REGION_LEVELS): of each of the remainders `summed`, in their order, the sums of the lanes.
    """

    def __init__(self, config: EngineConfig, tiles: Sequence[int], *, hops: int, inline: bool):
        self.config, self.tiles, self.hops, self.inline = config, tuple(tiles), hops, inline
        tile = config.tile
        self.share = share = Share.of(config, tiles)
        super().__init__(
            {
                "head": In(data.ArrayLayout(tile.port_bits, len(self.tiles))),
                "repeat": In(1),
                "step": In(STEP),
                "segments": In(2),
                "pick": In(pick_layout(config)),
                "slots": In(data.ArrayLayout(input_bits(config), 64)),
                "coefficients": In(data.ArrayLayout(coefficient_bits(config), 64)),
                "sums": In(data.ArrayLayout(signed(SUM_BITS), tile.nibble_rows)),
                "entries": Out(share.entries),
                "row_sums": Out(share.row_sums),
                "lane_sums": Out(share.lane_sums),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tiles = {port: place(m, f"tile_{port}", Tile, self.config, inline=self.inline) for port in self.tiles}
        self._feed(m, tiles)
        self._gather(m, platform, tiles)
        return m

    def _feed(self, m: Module, tiles: Mapping[int, Tile]) -> None:
        """Bring stream words, activations and control to the tiles."""
        per_port = self.config.tile.slices_per_port
        step = Pipeline(m, self.step, SENT + self.hops, "step").at(DECODE - 1)
        segments = Pipeline(m, self.segments, SENT + self.hops, "segments").at(HOP - 1)
        segments_of = dict(zip(tiles, copies(m, segments, len(tiles), "segments"), strict=True))
        pick = Pipeline(m, self.pick, DRAIN + self.hops, "pick")
        slots = Pipeline(m, self.slots, ORDERED, "slots").at(HOP)
        every = Pipeline(m, self.coefficients, ORDERED, "every_coefficient").at(HOP)
        sums = Pipeline(m, self.sums, SUMS_READY, "sums").at(SUMS - 1)
        self._pick = pick
        for place_here, (port, tile) in enumerate(tiles.items()):
            coefficients = Signal(tile.coefficients.shape(), name=f"coefficients_{port}", reset_less=True)
            m.d.comb += [
                tile.head.eq(self.head[place_here]),
                tile.repeat.eq(self.repeat),
                tile.step.eq(step),
                tile.slots.eq(slots),
                tile.sums.eq(sums),
                tile.coefficients.eq(coefficients),
                tile.row_select.eq(pick.at(ROW_DRAIN - 1).row),
                tile.lane_row.eq(pick.at(LANE_DRAIN - 1).row),
                tile.lane.eq(pick.at(LANE_DRAIN - 1).source),
            ]
            with m.Switch(segments_of[port]):
                for shift in range(4):
                    with m.Case(shift):
                        for index in range(per_port):
                            # A step has at most 64 tokens: one segment of coefficients.
                            m.d.sync += coefficients[index].eq(every[(port * per_port + index >> shift) % 64])

    def _gather(self, m: Module, platform: object, tiles: Mapping[int, Tile]) -> None:
        """Choose the slices of a word of a DOT, and sum those of an AXPY."""
        per_port, pick = self.config.tile.slices_per_port, self._pick
        entries, row_sums, lane_sums = {}, {}, {}
        for number in self.share.slices:
            tile, index = tiles[number // per_port], number % per_port
            entries[number] = Cat(tile.row_scales[index], tile.parameters[index])
            row_sums[number] = tile.row_sums[index]
            lane_sums[number] = tile.lane_sums[index]
        chosen = self._choose(m, entries, pick.at(PARAMETER - 1).group, "entry")
        m.d.comb += self.entries.eq(Cat(chosen))
        chosen = self._choose(m, row_sums, pick.at(ROW_DRAIN).group, "row_sum")
        m.d.comb += self.row_sums.eq(Cat(chosen))
        bits = self.share.lane_sums.elem_shape.elem_shape.width
        for where, remainder in enumerate(self.share.summed):
            for lane in range(self.config.mixed_lanes):
                values = [lane_sums[number][lane] for number in self.share.slices if number % residues(self.config) == remainder]
                for level in range(REGION_LEVELS):
                    values = thirds(m, platform, values, bits, f"sum_{remainder}_{lane}_{level}")
                m.d.comb += self.lane_sums[where][lane].eq(values[0])

    def _choose(self, m: Module, values: Mapping[int, Value], group: Value, name: str) -> list[Signal]:
        """Return, two cycles after the group, the value of each feed: of its slice in it, or zero where that is not here."""
        count, chosen = feeds(self.config), []
        groups = copies(m, group, -(-len(self.share.fed) // _FEEDS_A_COPY), f"{name}_group")
        for number, feed in enumerate(self.share.fed):
            result = Signal(len(next(iter(values.values()))), name=f"{name}_{feed}", reset_less=True)
            sources = [values.get(piece, Const(0)) for piece in range(feed, self.config.tile.slices, count)]
            m.d.sync += result.eq(Array(sources)[groups[number // _FEEDS_A_COPY]] if len(sources) > 1 else sources[0])
            chosen.append(result)
        return chosen


def pick(config: EngineConfig, word: data.View) -> Value:
    """Return which sums are chosen for a drained word, as `pick_layout` lays it out."""
    return Cat(getattr(word, name) for name in pick_layout(config).members)
