"""The front of the matrix unit: it decides when beats are popped, what each beat is, and when a block is captured."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hwsim.arch import isa
from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.stream_sizes import SIZES, StreamSizes
from rtl.interfaces import COMMAND, UnitSizes, field, flags, is_kind
from rtl.matrix.broadcast import ARRANGE
from rtl.matrix.records import BLOCK, STEP, is_any

__all__ = ["Sequencer"]

_HEADER, _SCALES, _DATA = range(3)
(_RUN_BITS,) = {exact_log2(sizes.run_groups) for sizes in SIZES.values() if sizes.run_groups}


def _holds_keys(sizes: StreamSizes) -> bool:
    return sizes.cache is not None


class Sequencer(wiring.Component):
    """Issues instructions and pops beats by the law of docs/engine.md section 4; all outputs are those of stage 0.

    Members:
        command, command_valid, issue: the command port without retirement.
        head_valid, pop: the streams. repeat: this cycle's beat is the one popped in the cycle before, its second half.
        free_now, free_soon: a capture in this cycle, or in the next, would not overtake the drain of the one before.
        step, arrange, a_address: what this cycle's beat is and where its activations lie.
        capture, block: this cycle is the capture cycle of this block.
        clear: back to idle.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__(
            {
                "command": In(COMMAND),
                **flags(In, "command_valid", "head_valid", "free_now", "free_soon", "clear"),
                **flags(Out, "issue", "pop", "repeat", "capture"),
                "step": Out(STEP),
                "arrange": Out(ARRANGE),
                "a_address": Out(UnitSizes(config).activation),
                "block": Out(BLOCK),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._declare(m)
        self._pop(m)
        self._describe(m)
        with m.If(self.issue):
            self._load(m)
        with m.Else():
            self._advance(m)
        with m.If(self.clear):
            m.d.sync += self._running.eq(0)
        return m

    def _declare(self, m: Module) -> None:
        """Make the registers of the instruction in the unit, and of the place in its stream."""
        self._running = Signal(name="running")
        self._axpy, self._empty = Signal(name="axpy"), Signal(name="empty")
        self._format, self._inner = Signal(3, name="format"), Signal(10, name="inner")
        self._fixed = Signal(BLOCK, name="fixed")
        self._source, self._segment = Signal(11, name="source"), Signal(11, name="segment")
        self._remaining = Signal(32, name="remaining")
        self._position = Signal.like(self._fixed.position, name="position")
        self._index = Signal(2, name="block_index")
        self._phase = Signal(range(3), name="phase")
        self._group = Signal(10, name="group")
        # The current group is the last of the block; for formats with groups of 64, both halves are.
        self._final_group = Signal(name="final_group")
        self._second, self._first = Signal(name="second_word"), Signal(name="first_step")
        self._start = Signal(6, name="coefficient_start")
        self._is_wide, self._is_dense = Signal(name="is_wide"), Signal(name="is_dense")
        self._is_kept, self._is_keys = Signal(name="is_kept"), Signal(name="is_keys")
        m.d.comb += [
            self._is_wide.eq(is_any(self._format, lambda sizes: sizes.group_words == 2)),
            self._is_dense.eq(is_any(self._format, lambda sizes: sizes.word_cycles == 2)),
            self._is_kept.eq(self._format == Format.W2S),
            self._is_keys.eq(is_any(self._format, _holds_keys)),
        ]

    def _pop(self, m: Module) -> None:
        """Decide what happens in this cycle."""
        self._compute, self._block_done = Signal(name="compute"), Signal(name="block_done")
        self._group_done = Signal(name="group_done")
        in_data, repeated, ends, allowed = Signal(), Signal(), Signal(), Signal()
        # Whether this is the last word of a block; W8 and KV8 have two words in its last group.
        last_word = self._final_group & (~self._is_wide | self._second)
        m.d.comb += [
            in_data.eq(self._phase == _DATA),
            # The second half of a W2 word, popped in the cycle before.
            repeated.eq(self._running & self._is_dense & in_data & self._group[0]),
            self.repeat.eq(repeated),
            ends.eq(in_data & last_word),
            allowed.eq(Mux(self._is_dense, self.free_soon, self.free_now) | (~self._axpy & ~ends)),
            self.issue.eq(self.command_valid & ~self._running),
            self.pop.eq(self._running & ~self._empty & ~repeated & allowed & self.head_valid),
            self._compute.eq(in_data & (self.pop | repeated)),
            self._group_done.eq(self._compute & (~self._is_wide | self._second)),
            self._block_done.eq(self._compute & last_word & (~self._is_dense | repeated)),
            self.capture.eq(
                Mux(
                    self._empty, self._running & self.free_now, Mux(self._axpy, self.pop & (self._remaining == 1), self._block_done)
                )
            ),
        ]

    def _describe(self, m: Module) -> None:
        """Say what this cycle's beat is, and what block it captures."""
        zeros = self._empty & self._axpy & self.capture
        m.d.comb += [
            self.step.header.eq(self.pop & (self._phase == _HEADER)),
            self.step.scales.eq(self.pop & (self._phase == _SCALES)),
            self.step.compute.eq(self._compute | zeros),
            self.step.null.eq(self._empty),
            self.step.axpy.eq(self._axpy),
            self.step.format.eq(self._format),
            self.step.half.eq(Mux(self._is_wide, self._second, self._group[0])),
            self.step.group.eq(Mux(self._is_dense, self._group[1:4], self._group[:3])),
            self.step.entry.eq(Mux(self._is_keys, self._index << 1, self._index)),
            self.step.first.eq(self._first),
            self.step.last.eq(self.capture),
            self.arrange.axpy.eq(self._axpy),
            self.arrange.format.eq(self._format),
            self.a_address.eq(self._segment),
            self.block.eq(self._fixed),
            self.block.writes.eq(self._axpy | ~self._empty),
            self.block.final.eq(self._empty | (self._remaining == 1)),
            self.block.position.eq(self._position),
        ]
        with m.If(self._axpy):
            m.d.comb += self.arrange.start.eq(self._start)
        with m.Elif(~self._is_kept):
            # The second word of W8 holds the next inputs, that of KV8 more of the same codes.
            m.d.comb += self.arrange.start.eq(Cat(Const(0, 4), self._second & ~self._is_keys, self._group[0]))

    def _load(self, m: Module) -> None:
        """Take an instruction from the queue."""

        def dot(name: str):
            return field(self.command, isa.Dot, name)

        def axpy(name: str):
            return field(self.command, isa.Axpy, name)

        is_axpy = Signal()
        m.d.comb += is_axpy.eq(is_kind(self.command, isa.Axpy))
        fixed = self._fixed
        m.d.sync += [
            self._running.eq(1),
            self._axpy.eq(is_axpy),
            self._position.eq(0),
            self._index.eq(0),
            self._group.eq(0),
            self._start.eq(0),
            self._second.eq(0),
            self._first.eq(1),
            fixed.axpy.eq(is_axpy),
        ]
        with m.If(is_axpy):
            m.d.sync += [
                self._format.eq(Format.W4),
                self._remaining.eq(axpy("beats")),
                self._empty.eq(axpy("beats") == 0),
                self._source.eq(axpy("source")),
                self._segment.eq(axpy("source")),
                self._phase.eq(_DATA),
                self._final_group.eq(0),
                fixed.keys.eq(0),
                *(getattr(fixed, name).eq(axpy(name)) for name in ("rows", "segments", "scale", "address", "stride")),
                fixed.wide.eq(axpy("cache") == CacheFormat.KV8),
                fixed.destination.eq(isa.Destination.RESULT),
            ]
        with m.Else():
            is_pair = is_any(dot("format"), lambda sizes: sizes.group == 2 * LANES_PER_SLICE)
            m.d.sync += [
                self._format.eq(dot("format")),
                self._remaining.eq(dot("blocks")),
                self._empty.eq(dot("blocks") == 0),
                self._source.eq(dot("source")),
                self._segment.eq(dot("source")),
                self._inner.eq(dot("inner")),
                self._phase.eq(_HEADER),
                self._final_group.eq(is_pair + 1 >= dot("inner")),
                fixed.keys.eq(is_any(dot("format"), _holds_keys)),
                *(getattr(fixed, name).eq(dot(name)) for name in ("rows", "scale", "destination", "address", "stride", "side")),
            ]

    def _advance(self, m: Module) -> None:
        """Move to the next beat."""
        slices = self.config.tile.slices
        is_pair, is_grouped = self._is_dense | self._is_kept, ~self._is_kept & ~self._is_keys
        body = Mux(is_grouped, _SCALES, _DATA)
        following, next_group, next_start = Signal(10), Signal(10), Signal(7)
        next_index = Signal(2)
        m.d.comb += [
            following.eq(self._group + Mux(self._is_kept, 2, 1)),
            next_group.eq(Mux(self._block_done, 0, following)),
            next_index.eq(self._index + 1),
            next_start.eq(self._start + (slices >> self._fixed.segments)),
        ]
        with m.If(self.pop & (self._phase == _HEADER)):
            m.d.sync += self._phase.eq(body)
        with m.If(self.pop & (self._phase == _SCALES)):
            m.d.sync += self._phase.eq(_DATA)
        with m.If(self._compute):
            m.d.sync += [self._first.eq(0), self._second.eq(self._is_wide & ~self._second)]
        with m.If(self._axpy & self.pop):
            m.d.sync += [self._start.eq(next_start), self._segment.eq(self._segment + next_start[6])]
        with m.If(~self._axpy & self._group_done):
            m.d.sync += [
                self._group.eq(next_group),
                self._final_group.eq((next_group | is_pair) + 1 >= self._inner),
                self._segment.eq(self._source + next_group[1:]),
            ]
            is_run_over = Mux(self._is_dense, following[: _RUN_BITS + 1] == 0, following[:_RUN_BITS] == 0)
            with m.If(is_grouped & is_run_over):
                m.d.sync += self._phase.eq(_SCALES)
        with m.If(self._block_done):
            period_over = Mux(self._is_keys, ~next_index[0], next_index == 0)
            m.d.sync += [
                self._first.eq(1),
                self._index.eq(next_index),
                self._position.eq(self._position + slices),
                self._phase.eq(Mux(period_over, _HEADER, body)),
            ]
        with m.If(self._axpy & self.pop | self._block_done):
            m.d.sync += self._remaining.eq(self._remaining - 1)
        with m.If(self.capture & self.block.final):
            m.d.sync += self._running.eq(0)
