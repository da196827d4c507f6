"""The MATRIX unit: front, broadcasts, regions of tiles, what gathers their results, epilogue, and the delays between them."""

from collections.abc import Mapping

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.copies import copies
from rtl.interfaces import SCALE_ENTRY, UnitSizes, assign, command_port, flags, read_port
from rtl.matrix.broadcast import Broadcast
from rtl.matrix.epilogue import Epilogue, result_ports
from rtl.matrix.front import Front
from rtl.matrix.gather import Gather, LaneTree
from rtl.matrix.region import Region, pick, tiles_of
from rtl.matrix.slice import Slice, Tile
from rtl.matrix.stages import DRAIN, ENTRY_WRITE, GATHER, LEAVE, RESULT_READ, ROW_DRAIN, SCALE_READ, SENT, WRITE, check_stages
from rtl.pipeline import Pipeline
from rtl.regions import FAR, SHARED

__all__ = ["Matrix", "sources_of"]


_LANES_A_COPY = 8
"""Lanes whose result one register chooses: it has a load a bit."""


def sources_of(config: EngineConfig) -> tuple[str, ...]:
    """Return the regions that have activations of their own; the far one gets those of the shared one."""
    return tuple(region for region in tiles_of(config) if region != FAR)


class Matrix(wiring.Component):
    """Matrix-vector products of streams; docs/engine.md section 4 is its contract.

    Members beyond the command port:
        head, head_valid, pop: the streams of FETCH.
        a_REGION_address, a_REGION_data: activation memory of each region that has one (`sources_of`); code i of row r in
            bits 512 r + 8 i, a cycle after the address.
        scale_address, scale_data: scale file, the same.
        x, p: read ports of residual and parameter memory; x_address is zero while no residual is read.
        y, x_write, h: write ports of result, residual and value-parameter memory.
        drained: a word to be written leaves the array in this cycle. busy: an instruction has not retired.
        clear: aborts whatever is in flight.

    With `inline` the tiles are submodules, as Amaranth's simulator needs them; else instances of `shared_modules`.
    """

    shared_modules = (Tile, Slice)

    def __init__(self, config: EngineConfig, *, inline: bool = False):
        check_stages(config)
        self.config, self.inline = config, inline
        sizes, tile = UnitSizes(config), config.tile
        members = command_port() | {
            "head": In(data.ArrayLayout(tile.port_bits, tile.ports)),
            **flags(In, "head_valid", "clear"),
            **flags(Out, "pop", "drained", "busy"),
            "scale_address": Out(sizes.scales),
            "scale_data": In(SCALE_ENTRY),
        }
        for source in sources_of(config):
            members |= read_port(f"a_{source}", sizes.activation, 512 * tile.tokens)
        super().__init__(members | result_ports(config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.front = front = Front(self.config)
        m.d.comb += [
            *assign(front, self, "command", "command_valid", "head_valid", "clear"),
            *assign(self, front, "issue", "retire", "pop", "drained", "busy"),
        ]
        regions = {}
        for name, tiles in tiles_of(self.config).items():
            regions[name] = Region(self.config, tiles, hops=int(name == FAR), inline=self.inline)
            m.submodules[name] = regions[name]
        self._feed(m, front, regions)
        self._finish(m, front, regions)
        return m

    def _feed(self, m: Module, front: Front, regions: Mapping[str, Region]) -> None:
        """Bring activations and control to the regions, and stream words."""
        broadcasts = {}
        for source in sources_of(self.config):
            m.submodules[f"broadcast_{source}"] = broadcast = broadcasts[source] = Broadcast(self.config)
            m.d.comb += [
                *assign(broadcast, front, "a_address", "arrange"),
                getattr(self, f"a_{source}_address").eq(broadcast.address),
                broadcast.segment.eq(getattr(self, f"a_{source}_data")),
            ]
        chosen = pick(self.config, front.word)
        for name, region in regions.items():
            m.d.comb += [
                region.head.eq(Cat(self.head[port] for port in region.tiles)),
                region.repeat.eq(front.repeat),
                *assign(region, broadcasts.get(name, broadcasts[SHARED]), "slots", "coefficients", "sums"),
                region.step.eq(Pipeline(m, front.step, SENT, f"{name}_step").at(SENT + region.hops)),
                region.segments.eq(Pipeline(m, front.segments, SENT, f"{name}_segments").at(SENT + region.hops)),
                region.pick.eq(Pipeline(m, chosen, DRAIN, f"{name}_pick").at(DRAIN + region.hops)),
            ]

    def _finish(self, m: Module, front: Front, regions: Mapping[str, Region]) -> None:
        """Gather words from the regions and hand them to the epilogue."""
        shares = [region.share for region in regions.values()]
        m.submodules.gather = gather = Gather(self.config, shares)
        m.submodules.lane_tree = tree = LaneTree(self.config, shares)
        m.submodules.epilogue = epilogue = Epilogue(self.config)
        for number, region in enumerate(regions.values()):
            m.d.comb += [
                getattr(gather, f"entries_{number}").eq(region.entries),
                getattr(gather, f"row_sums_{number}").eq(region.row_sums),
                getattr(tree, f"lane_sums_{number}").eq(region.lane_sums),
            ]
        written = Pipeline(m, front.flags, DRAIN, "flags", clear=self.clear)
        word = Pipeline(m, front.word, DRAIN, "word")
        sums = Pipeline(m, gather.row_sums, ROW_DRAIN + 1 + GATHER, "row_sums").at(LEAVE - 1)
        lanes = self.config.vector.lanes
        is_axpy = copies(m, word.at(LEAVE - 2).axpy, -(-lanes // _LANES_A_COPY), "axpy")
        m.d.comb += [
            *assign(tree, word.at(LEAVE - 3), "segments", "wide"),
            self.scale_address.eq(word.at(SCALE_READ).scale),
            epilogue.word.eq(word.at(SCALE_READ + 1)),
            epilogue.entries.eq(gather.entries),
            epilogue.entry.eq(self.scale_data),
            epilogue.entries_written.eq(written.at(ENTRY_WRITE).written),
            epilogue.reads.eq(written.at(RESULT_READ).written),
            epilogue.written.eq(written.at(WRITE).written),
        ]
        for lane in range(lanes):
            raw = Signal(32, name=f"raw_{lane}", reset_less=True)
            m.d.sync += raw.eq(Mux(is_axpy[lane // _LANES_A_COPY], tree.word[lane], sums[lane]))
            m.d.comb += epilogue.raw[lane].eq(raw)
        outputs = (f"{name}_{part}" for name in ("y", "x_write", "h") for part in ("enable", "address", "data"))
        m.d.comb += [*assign(self, epilogue, "x_address", "p_address", *outputs), *assign(epilogue, self, "x_data", "p_data")]
