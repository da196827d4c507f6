"""The MATRIX unit: sequencer, broadcast, slices, drain and epilogue, and the delays that line them up."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.instance import place
from rtl.interfaces import SCALE_ENTRY, UnitSizes, assign, command_port, read_port
from rtl.matrix.broadcast import Broadcast
from rtl.matrix.drain import Drain, LaneTree, choose_group
from rtl.matrix.epilogue import Epilogue, result_ports
from rtl.matrix.sequencer import Sequencer
from rtl.matrix.slice import Slice, Tile
from rtl.matrix.stages import (
    ACTIVATION,
    DECODE,
    DRAIN,
    HOP,
    LANE_DRAIN,
    LEAVE,
    PARAMETER,
    RESULT_READ,
    ROW_DRAIN,
    SCALE_READ,
    SUMS,
    SUMS_READY,
    WRITE,
    check_stages,
)
from rtl.pipeline import Pipeline

__all__ = ["Matrix"]


class Matrix(wiring.Component):
    """Matrix-vector products of streams; docs/engine.md section 4 is its contract.

    Members beyond the command port:
        head, head_valid, pop: the streams of FETCH.
        a_address, a_data: activation memory; code i of row r in bits 512 r + 8 i, a cycle after the address.
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
        super().__init__(
            command_port()
            | {
                "head": In(data.ArrayLayout(tile.port_bits, tile.ports)),
                "head_valid": In(1),
                "pop": Out(1),
                "scale_address": Out(sizes.scales),
                "scale_data": In(SCALE_ENTRY),
                "drained": Out(1),
                "busy": Out(1),
                "clear": In(1),
            }
            | read_port("a", sizes.activation, 512 * tile.tokens)
            | result_ports(config)
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        m.submodules.drain = drain = Drain(self.config)
        m.d.comb += [
            *assign(sequencer, self, "command", "command_valid", "head_valid", "clear"),
            *assign(self, sequencer, "issue", "pop", "a_address"),
            *assign(sequencer, drain, "free_now", "free_soon"),
            *assign(drain, sequencer, "capture", "block"),
            drain.clear.eq(self.clear),
        ]
        flags = Pipeline(m, drain.flags, DRAIN, "flags", clear=self.clear)
        word = Pipeline(m, drain.word, DRAIN, "word")
        self._track(m, flags)
        tiles = [place(m, f"tile_{port}", Tile, self.config, inline=self.inline) for port in range(self.config.tile.ports)]
        self._feed(m, sequencer, tiles)
        for tile in tiles:
            m.d.comb += [
                tile.row_select.eq(word.at(ROW_DRAIN).row),
                tile.lane_row.eq(word.at(LANE_DRAIN).row),
                tile.lane.eq(word.at(LANE_DRAIN).source),
            ]
        self._finish(m, tiles, flags, word)
        return m

    def _track(self, m: Module, flags: Pipeline) -> None:
        """Count instructions between issue and retirement."""
        in_flight = Signal(6)
        m.d.comb += [
            self.retire.eq(flags.at(WRITE + 1).retire),
            self.drained.eq(flags.at(LEAVE).written),
            self.busy.eq(in_flight != 0),
        ]
        m.d.sync += in_flight.eq(in_flight + self.issue - self.retire)
        with m.If(self.clear):
            m.d.sync += in_flight.eq(0)

    def _feed(self, m: Module, sequencer: Sequencer, tiles: list) -> None:
        """Bring stream words, activations and control to the tiles."""
        config = self.config.tile
        m.submodules.broadcast = broadcast = Broadcast(self.config)
        step = Pipeline(m, sequencer.step, 0, "step").at(DECODE - 1)
        arrange = Pipeline(m, sequencer.arrange, 0, "arrange").at(ACTIVATION)
        segments = Pipeline(m, sequencer.block.segments, 0, "segments").at(HOP)
        sums = Pipeline(m, broadcast.sums, SUMS_READY, "sums").at(SUMS - 1)
        m.d.comb += [broadcast.segment.eq(self.a_data), broadcast.arrange.eq(arrange)]
        for port, tile in enumerate(tiles):
            m.d.comb += [
                tile.head.eq(self.head[port]),
                tile.repeat.eq(sequencer.repeat),
                tile.step.eq(step),
                tile.slots.eq(broadcast.slots),
                tile.sums.eq(sums),
            ]
            coefficients = Signal(tile.coefficients.shape(), name=f"coefficients_{port}", reset_less=True)
            m.d.comb += tile.coefficients.eq(coefficients)
            with m.Switch(segments):
                for shift in range(4):
                    with m.Case(shift):
                        for place_in_tile in range(config.slices_per_port):
                            index = port * config.slices_per_port + place_in_tile
                            # A step has at most 64 tokens: one segment of coefficients.
                            source = broadcast.coefficients[(index >> shift) % 64]
                            m.d.sync += coefficients[place_in_tile].eq(source)

    def _finish(self, m: Module, tiles: list, flags: Pipeline, word: Pipeline) -> None:
        """Gather words from the slices and hand them to the epilogue."""
        lanes = self.config.vector.lanes
        m.submodules.lane_tree = tree = LaneTree(self.config)
        m.submodules.epilogue = epilogue = Epilogue(self.config)
        places = [(tile, index) for tile in tiles for index in range(self.config.tile.slices_per_port)]
        entries = [Cat(tile.row_scales[index], tile.parameters[index]) for tile, index in places]
        headers = choose_group(m, entries, word.at(PARAMETER).group, lanes, "header")
        sums = choose_group(m, [tile.row_sums[index] for tile, index in places], word.at(ROW_DRAIN + 1).group, lanes, "sum")
        before = word.at(LEAVE - 1)
        m.d.comb += tree.lane_sums.eq(Cat(tile.lane_sums for tile in tiles))
        m.d.comb += [
            *assign(tree, before, "segments", "wide"),
            self.scale_address.eq(word.at(SCALE_READ).scale),
            epilogue.word.eq(word.at(SCALE_READ + 1)),
            epilogue.entry.eq(self.scale_data),
            epilogue.reads.eq(flags.at(RESULT_READ).written),
            epilogue.written.eq(flags.at(WRITE).written),
        ]
        for lane in range(lanes):
            raw = Signal(32, name=f"raw_{lane}", reset_less=True)
            m.d.comb += [
                epilogue.row_scales[lane].eq(headers[lane][:24]),
                epilogue.parameters[lane].eq(headers[lane][24:]),
                epilogue.raw[lane].eq(raw),
            ]
            late = Pipeline(m, sums[lane], ROW_DRAIN + 2, f"sum_{lane}").at(LEAVE - 1)
            m.d.sync += raw.eq(tree.word[lane])
            with m.If(~before.axpy):
                m.d.sync += raw.eq(late)
        written = (f"{name}_{part}" for name in ("y", "x_write", "h") for part in ("enable", "address", "data"))
        m.d.comb += [*assign(self, epilogue, "x_address", "p_address", *written), *assign(epilogue, self, "x_data", "p_data")]
