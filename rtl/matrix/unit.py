"""The MATRIX unit: sequencer, broadcast, slices, drain and epilogue, and the delays that line them up."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from rtl.instance import Shared, place
from rtl.interfaces import SCALE_ENTRY, UnitSizes, command_port, lane_write_port, read_port
from rtl.matrix.broadcast import Broadcast
from rtl.matrix.drain import Drain
from rtl.matrix.epilogue import Epilogue
from rtl.matrix.gather import LaneTree, choose_group
from rtl.matrix.sequencer import Sequencer
from rtl.matrix.slice import Slice
from rtl.matrix.stages import (
    ACTIVATION,
    DRAIN,
    HOP,
    LANE_DRAIN,
    LEAVE,
    PARAMETER,
    RESULT_READ,
    ROW_DRAIN,
    SCALE_READ,
    SLICE,
    SUMS,
    SUMS_READY,
    WRITE,
    Pipeline,
    check_stages,
)

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

    With `inline` the slices are submodules, as Amaranth's simulator needs them; otherwise instances of `shared_modules`.
    """

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
            | read_port("x", sizes.residual, sizes.word_bits)
            | read_port("p", sizes.parameter, sizes.word_bits)
            | lane_write_port("y", sizes.result, sizes.lanes)
            | lane_write_port("x_write", sizes.residual, sizes.lanes)
            | lane_write_port("h", sizes.side, sizes.lanes)
        )

    @property
    def shared_modules(self) -> tuple[type[Shared], ...]:
        """Components whose Verilog the instances refer to."""
        return () if self.inline else (Slice,)

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        m.submodules.drain = drain = Drain(self.config)
        m.d.comb += [
            sequencer.command.eq(self.command),
            sequencer.command_valid.eq(self.command_valid),
            self.issue.eq(sequencer.issue),
            sequencer.head_valid.eq(self.head_valid),
            self.pop.eq(sequencer.pop),
            self.a_address.eq(sequencer.a_address),
            sequencer.clear.eq(self.clear),
            sequencer.free_now.eq(drain.free_now),
            sequencer.free_soon.eq(drain.free_soon),
            drain.capture.eq(sequencer.capture),
            drain.block.eq(sequencer.block),
            drain.clear.eq(self.clear),
        ]
        flags = Pipeline(m, drain.flags, DRAIN, "flags", clear=self.clear)
        word = Pipeline(m, drain.word, DRAIN, "word")
        self._track(m, flags)
        slices = self._place_slices(m)
        self._feed(m, sequencer, slices)
        for piece in slices:
            m.d.comb += [
                piece.row_select.eq(word.at(ROW_DRAIN).row),
                piece.lane_row.eq(word.at(LANE_DRAIN).row),
                piece.lane_shift.eq(flags.at(LANE_DRAIN).shift),
            ]
        self._finish(m, slices, flags, word)
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

    def _place_slices(self, m: Module) -> list:
        return [
            place(m, f"slice_{index}", Slice, self.config, inline=self.inline)
            for index in range(self.config.tile.slices)
        ]

    def _feed(self, m: Module, sequencer: Sequencer, slices: list) -> None:
        """Bring stream words, activations and control to the slices, through a register in every tile."""
        tile = self.config.tile
        m.submodules.broadcast = broadcast = Broadcast(self.config)
        step = Pipeline(m, sequencer.step, 0, "step")
        arrange = Pipeline(m, sequencer.arrange, 0, "arrange")
        segments = Pipeline(m, sequencer.block.segments, 0, "segments").at(HOP)
        sums = Pipeline(m, Cat(broadcast.sums[row] for row in range(tile.tokens)), SUMS_READY, "sums")
        m.d.comb += [broadcast.segment.eq(self.a_data), broadcast.arrange.eq(arrange.at(ACTIVATION))]
        for port in range(tile.ports):
            beat = Signal(tile.port_bits, name=f"beat_{port}", reset_less=True)
            with m.If(~sequencer.repeat):
                m.d.sync += beat.eq(self.head[port])
            word = Pipeline(m, beat, 1, f"stream_{port}").at(SLICE)
            slots = Signal(broadcast.slots.shape(), name=f"slots_{port}", reset_less=True)
            local_step = Signal(step.at(SLICE - 1).shape(), name=f"step_of_port_{port}", reset_less=True)
            local_sums = Signal(len(sums.at(SUMS - 1)), name=f"sums_of_port_{port}", reset_less=True)
            m.d.sync += [
                slots.eq(broadcast.slots),
                local_step.eq(step.at(SLICE - 1)),
                local_sums.eq(sums.at(SUMS - 1)),
            ]
            for place_in_port in range(tile.slices_per_port):
                index = port * tile.slices_per_port + place_in_port
                piece = slices[index]
                coefficient = Signal(broadcast.digits, name=f"coefficient_{index}", reset_less=True)
                with m.Switch(segments):
                    for shift in range(4):
                        with m.Case(shift):
                            # A step has at most 64 tokens: one segment of coefficients.
                            m.d.sync += coefficient.eq(broadcast.coefficients[(index >> shift) % 64])
                m.d.comb += [
                    piece.word.eq(word.word_select(place_in_port, 128)),
                    piece.slots.eq(slots),
                    piece.coefficient.eq(coefficient),
                    piece.step.eq(local_step),
                    piece.sums.eq(local_sums),
                ]

    def _finish(self, m: Module, slices: list, flags: Pipeline, word: Pipeline) -> None:
        """Gather words from the slices and hand them to the epilogue."""
        lanes = self.config.vector.lanes
        m.submodules.lane_tree = tree = LaneTree(self.config)
        m.submodules.epilogue = epilogue = Epilogue(self.config)
        headers = choose_group(
            m, [Cat(piece.row_scale, piece.parameter) for piece in slices], word.at(PARAMETER).group, lanes, "header"
        )
        sums = choose_group(m, [piece.row_sum for piece in slices], word.at(ROW_DRAIN + 1).group, lanes, "sum")
        before = word.at(LEAVE - 1)
        m.d.comb += [tree.lane_sums[index].eq(piece.lane_sum) for index, piece in enumerate(slices)]
        m.d.comb += [
            tree.segments.eq(before.segments),
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
        for name in ("y_enable", "y_address", "y_data", "x_address", "p_address", "h_enable", "h_address", "h_data"):
            m.d.comb += getattr(self, name).eq(getattr(epilogue, name))
        for name in ("x_write_enable", "x_write_address", "x_write_data"):
            m.d.comb += getattr(self, name).eq(getattr(epilogue, name))
        m.d.comb += [epilogue.x_data.eq(self.x_data), epilogue.p_data.eq(self.p_data)]
