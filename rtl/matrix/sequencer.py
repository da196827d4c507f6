"""The front of the matrix unit: it decides when beats are popped, what each beat is, and when a block is captured."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hwsim.arch import isa
from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Instruction
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.stream_sizes import SIZES
from rtl.arithmetic import sum_is
from rtl.interfaces import COMMAND, UnitSizes, assign, field, flags, is_kind
from rtl.matrix.broadcast import ARRANGE
from rtl.matrix.records import BLOCK, STEP, is_any

__all__ = ["Sequencer"]

_HEADER, _SCALES, _DATA = range(3)
(_RUN_BITS,) = {exact_log2(sizes.run_groups) for sizes in SIZES.values() if sizes.run_groups}


_OWN = ("writes", "final", "position")
"""What each block says for itself."""

_COMMON = data.StructLayout({name: member.shape for name, member in BLOCK if name not in _OWN})
"""What all blocks of an instruction say."""

OPERATION = data.StructLayout(
    {
        "block": _COMMON,
        "beats": 32,
        "empty": 1,
        "single": 1,
        "final_first": 1,
        "last_group": 10,
        "format": 3,
        "source": 11,
        "wide": 1,
        "dense": 1,
        "kept": 1,
    }
)
"""An instruction: `beats` are those of an AXPY or the blocks of a DOT, `empty` and `single` say that there is none or one, and
`final_first` that the first group of a block is its last. `wide`: a group has two words; `dense`: a word takes two cycles; `kept`:
its codes are 2 of 4 of W2S."""


class Few(wiring.Component):
    """Says whether an operand is 0 and whether it is 1, without waiting for the sum that it is; a module, so that this is quick."""

    immediate: In(32)
    register: In(32)
    none: Out(1)
    one: Out(1)

    def elaborate(self, platform):
        m = Module()
        for number, said in enumerate((self.none, self.one)):
            m.d.comb += said.eq(sum_is(self.immediate, self.register, number))
        return m


class Decoder(wiring.Component):
    """Says what a DOT or AXPY asks for, combinationally.

    It is a module, because synthesis would share its adders with those that count beats, which then wait for what is known last.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        super().__init__({"command": In(COMMAND), "operation": Out(OPERATION)})

    def elaborate(self, platform):
        m = Module()
        operation, block = self.operation, self.operation.block

        def dot(name: str):
            return field(self.command, isa.Dot, name)

        def axpy(name: str):
            return field(self.command, isa.Axpy, name)

        def few(asked: Few, kind: type[Instruction], name: str) -> list:
            declared = kind.field(name)
            immediate = self.command.word[declared.offset : declared.offset + declared.width]
            return [asked.immediate.eq(immediate), asked.register.eq(self.command.operand[declared.register])]

        def words(rows: Value) -> Value:
            """Return the words that the rows of a block drain to."""
            each = (self.config.mixed_words, self.config.drain_words)
            return Mux(block.axpy, *(Array(number * per_row for number in range(1 << len(rows)))[rows] for per_row in each))

        m.submodules.beats = beats = Few()
        m.submodules.blocks = blocks = Few()
        inner, format = Signal(10), dot("format")
        m.d.comb += [
            inner.eq(dot("inner")),
            block.axpy.eq(is_kind(self.command, isa.Axpy)),
            block.words.eq(words(Mux(block.axpy, axpy("rows"), dot("rows")))),
            operation.beats.eq(Mux(block.axpy, axpy("beats"), dot("blocks"))),
            *few(beats, isa.Axpy, "beats"),
            *few(blocks, isa.Dot, "blocks"),
            operation.empty.eq(Mux(block.axpy, beats.none, blocks.none)),
            operation.single.eq(Mux(block.axpy, beats.one, blocks.one)),
            operation.last_group.eq(inner - 1),
        ]
        with m.If(block.axpy):
            m.d.comb += [
                operation.format.eq(Format.W4),
                operation.source.eq(axpy("source")),
                *(getattr(block, name).eq(axpy(name)) for name in ("rows", "segments", "scale", "address", "stride")),
                block.wide.eq(axpy("cache") == CacheFormat.KV8),
                block.destination.eq(isa.Destination.RESULT),
            ]
        with m.Else():
            is_pair = is_any(format, lambda sizes: sizes.group == 2 * LANES_PER_SLICE)
            m.d.comb += [
                operation.format.eq(format),
                operation.source.eq(dot("source")),
                operation.final_first.eq(is_pair + 1 >= inner),
                operation.wide.eq(is_any(format, lambda sizes: sizes.group_words == 2)),
                operation.dense.eq(is_any(format, lambda sizes: sizes.word_cycles == 2)),
                operation.kept.eq(format == Format.W2S),
                block.keys.eq(is_any(format, lambda sizes: sizes.cache is not None)),
                *(getattr(block, name).eq(dot(name)) for name in ("rows", "scale", "destination", "address", "stride", "side")),
            ]
        return m


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
        m.submodules.decoder = decoder = Decoder(self.config)
        m.d.comb += decoder.command.eq(self.command)
        self._taken = decoder.operation
        self._declare(m)
        self._pop(m)
        self._describe(m)
        # An instruction is there before it is issued, so that this drives few registers.
        with m.If(self._running):
            self._move(m)
        with m.Else():
            self._load(m)
        with m.If(self.issue):
            m.d.sync += self._running.eq(1)
        with m.If(self.clear):
            m.d.sync += [self._running.eq(0), self._repeated.eq(0)]
        return m

    def _declare(self, m: Module) -> None:
        """Make the registers of the instruction in the unit, and of the place in its stream.

        Whether a beat is there is known late in a cycle. What would follow it is known before, of registers alone, and those
        say what kind of stream it is: they are decoded when the instruction is taken.
        """
        self._running = Signal(name="running")
        self._axpy, self._empty = Signal(name="axpy"), Signal(name="empty")
        self._format, self._last = Signal(3, name="format"), Signal(10, name="last_group")
        self._fixed = Signal(_COMMON, name="fixed")
        self._source, self._segment = Signal(11, name="source"), Signal(11, name="segment")
        self._remaining, self._is_final = Signal(32, name="remaining"), Signal(name="is_final")
        self._position = Signal(BLOCK["position"].shape, name="position")
        self._index = Signal(2, name="block_index")
        self._phase = Signal(3, name="phase")
        self._group = Signal(10, name="group")
        # The current group is the last of the block, and whether the first one is; of groups of 64, both halves are.
        self._final_group, self._final_first = Signal(name="final_group"), Signal(name="final_first")
        self._second, self._first = Signal(name="second_word"), Signal(name="first_step")
        # Whether this is the last word of a block; W8 and KV8 have two words in its last group. Whether it is the second half of
        # a W2 word, popped in the cycle before.
        self._last_word, self._repeated = Signal(name="last_word"), Signal(name="repeated")
        self._start = Signal(6, name="coefficient_start")
        self._is_wide, self._is_dense = Signal(name="is_wide"), Signal(name="is_dense")
        self._is_kept, self._is_keys = Signal(name="is_kept"), Signal(name="is_keys")

    def _pop(self, m: Module) -> None:
        """Decide what happens in this cycle."""
        self._in_data = self._phase[_DATA]
        self._group_ends, self._block_ends = Signal(name="group_ends"), Signal(name="block_ends")
        self._advance = Signal(name="advance")
        allowed, may_pop, captures, captures_still = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.repeat.eq(self._repeated),
            self._group_ends.eq(~self._is_wide | self._second),
            self._block_ends.eq(self._last_word & (~self._is_dense | self._repeated)),
            allowed.eq(Mux(self._is_dense, self.free_soon, self.free_now) | (~self._axpy & ~(self._in_data & self._last_word))),
            may_pop.eq(self._running & ~self._empty & ~self._repeated & allowed),
            self.issue.eq(self.command_valid & ~self._running),
            self.pop.eq(may_pop & self.head_valid),
            self._advance.eq(self.pop | self._repeated),
            captures.eq(Mux(self._axpy, self._is_final, self._in_data & self._block_ends)),
            captures_still.eq(Mux(self._empty, self._running & self.free_now, self._repeated & captures)),
            self.capture.eq(captures_still | (self.pop & captures)),
        ]

    def _describe(self, m: Module) -> None:
        """Say what this cycle's beat is, and what block it captures."""
        m.d.comb += [
            self.step.header.eq(self.pop & self._phase[_HEADER]),
            self.step.scales.eq(self.pop & self._phase[_SCALES]),
            self.step.compute.eq(self._in_data & self._advance | (self._empty & self._axpy & self.capture)),
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
            *assign(self.block, self._fixed, *_COMMON.members),
            self.block.writes.eq(self._axpy | ~self._empty),
            self.block.final.eq(self._empty | self._is_final),
            self.block.position.eq(self._position),
        ]
        with m.If(self._axpy):
            m.d.comb += self.arrange.start.eq(self._start)
        with m.Elif(~self._is_kept):
            # The second word of W8 holds the next inputs, that of KV8 more of the same codes.
            m.d.comb += self.arrange.start.eq(Cat(Const(0, 4), self._second & ~self._is_keys, self._group[0]))

    def _load(self, m: Module) -> None:
        """Take an instruction from the queue."""
        taken = self._taken
        m.d.sync += [
            self._axpy.eq(taken.block.axpy),
            self._empty.eq(taken.empty),
            self._is_final.eq(taken.single),
            self._remaining.eq(taken.beats),
            self._position.eq(0),
            self._index.eq(0),
            self._group.eq(0),
            self._start.eq(0),
            self._second.eq(0),
            self._first.eq(1),
            self._final_group.eq(taken.final_first),
            self._final_first.eq(taken.final_first),
            self._last_word.eq(taken.final_first & ~taken.wide),
            self._last.eq(taken.last_group),
            self._fixed.eq(taken.block),
            self._format.eq(taken.format),
            self._source.eq(taken.source),
            self._segment.eq(taken.source),
            self._is_wide.eq(taken.wide),
            self._is_dense.eq(taken.dense),
            self._is_kept.eq(taken.kept),
            self._is_keys.eq(taken.block.keys),
            self._phase.eq(Mux(taken.block.axpy, 1 << _DATA, 1 << _HEADER)),
        ]

    def _move(self, m: Module) -> None:
        """Move to the next beat."""
        slices = self.config.tile.slices
        is_pair, is_grouped = self._is_dense | self._is_kept, ~self._is_kept & ~self._is_keys & ~self._axpy
        following, next_group, next_start = Signal(10), Signal(10), Signal(7)
        next_index, next_phase = Signal(2), Signal(3)
        is_run_over = Mux(self._is_dense, following[: _RUN_BITS + 1] == 0, following[:_RUN_BITS] == 0)
        period_over = Mux(self._is_keys, ~next_index[0], next_index == 0)
        body = Mux(is_grouped, 1 << _SCALES, 1 << _DATA)
        m.d.comb += [
            following.eq(self._group + Mux(self._is_kept, 2, 1)),
            next_group.eq(Mux(self._block_ends, 0, following)),
            next_index.eq(self._index + 1),
            next_start.eq(self._start + (slices >> self._fixed.segments)),
            next_phase.eq(1 << _DATA),
        ]
        with m.If(self._phase[_HEADER]):
            m.d.comb += next_phase.eq(body)
        with m.Elif(self._in_data):
            with m.If(self._block_ends):
                m.d.comb += next_phase.eq(Mux(period_over, 1 << _HEADER, body))
            with m.Elif(self._group_ends & is_grouped & is_run_over):
                m.d.comb += next_phase.eq(1 << _SCALES)

        block_ends = self._in_data & self._block_ends
        with m.If(self._advance):
            m.d.sync += self._phase.eq(next_phase)
        next_final = Mux(self._block_ends, self._final_first, (following | is_pair) >= self._last)
        m.d.sync += self._repeated.eq(self.pop & self._in_data & self._is_dense)
        with m.If(self._advance & self._in_data):
            m.d.sync += [
                self._first.eq(self._block_ends),
                self._second.eq(self._is_wide & ~self._second),
                self._last_word.eq(~self._axpy & Mux(self._group_ends, next_final & ~self._is_wide, self._final_group)),
            ]
        next_segment = Mux(self._axpy, self._segment + next_start[6], self._source + next_group[1:])
        moves_on = self._in_data & self._group_ends
        with m.If(self._advance & self._axpy):
            m.d.sync += self._start.eq(next_start)
        with m.If(self._advance & ~self._axpy & moves_on):
            m.d.sync += [self._group.eq(next_group), self._final_group.eq(next_final)]
        with m.If(self._advance & (self._axpy | moves_on)):
            m.d.sync += self._segment.eq(next_segment)
        with m.If(self._advance & block_ends):
            m.d.sync += [self._index.eq(next_index), self._position.eq(self._position + slices)]
        with m.If(self._advance & (self._axpy | block_ends)):
            m.d.sync += [self._remaining.eq(self._remaining - 1), self._is_final.eq(self._remaining == 2)]
        with m.If(self.capture & self.block.final):
            m.d.sync += self._running.eq(0)
