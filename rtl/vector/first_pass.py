"""The schedule of the first pass: an instruction's rows, the passes over a row's words, and which of its scores are valid."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.timing import PEAK_LATENCY
from rtl.interfaces import command_port, flags
from rtl.vector.operation import LENGTH_BITS, OPERATION, Decoder, Length

__all__ = ["POINTER_BITS", "SELECTED", "FirstPass", "ScoreMask"]

POINTER_BITS = 14

SELECTED = data.StructLayout(
    {"valid": 1, "peak": 1, "first": 1, "index": LENGTH_BITS, "pointer": POINTER_BITS, "other": POINTER_BITS}
)
"""The word of this cycle: whether there is one, in which pass it is, whether it is the row's first in that pass, its
number, its address at the source, and that of the other operand: the second factor of SWIGLU, the partner of a rotation."""


class FirstPass(wiring.Component):
    """Issues instructions and selects words; a row begins when the rows before leave room for it.

    Members beyond the command port (`retire` is not driven):
        operation: that of the row under way. has_place, has_words: a row may begin where both are up.
        begin: a row begins in this cycle. row: its number in the instruction. is_last: it is the instruction's last.
        word: the selected word. passes: a pass over the row begins in this cycle.
        ends: this is the row's last cycle, in which NORM selects its constants and other instructions their last word.
    """

    def __init__(self):
        port = command_port()
        super().__init__(
            {
                **{name: port[name] for name in ("command", "command_valid", "issue")},
                "operation": Out(OPERATION),
                **flags(In, "has_place", "has_words"),
                **flags(Out, "begin", "is_last", "passes", "ends"),
                "row": Out(OPERATION["rows"].shape),
                "word": Out(SELECTED),
            }
        )

    def elaborate(self, platform):
        m = Module()
        operation = self.operation
        m.submodules.decoder = decoder = Decoder()
        m.submodules.length = length = Length()
        m.d.comb += [decoder.command.eq(self.command), length.command.eq(self.command)]
        decoded = decoder.operation
        active, inside = Signal(), Signal()
        peak, gap, has_no_gap = Signal(), Signal(range(PEAK_LATENCY + 1)), Signal(init=1)
        index = Signal(LENGTH_BITS)
        source, up, pointer, up_pointer = (
            Signal(POINTER_BITS, name=name, reset_less=True) for name in ("source", "up", "pointer", "up_pointer")
        )
        moves, is_last_slot, is_free = Signal(), Signal(), Signal()
        # Of the word at `index` and of the row: equal comparisons with zero, length and rows, but come from registers.
        is_first_word = Signal(init=1)
        is_last_word, is_past, is_last_row = (
            Signal(name=f"is_{name}", reset_less=True) for name in ("last_word", "past", "last_row")
        )

        def begin_pass() -> list:
            return [index.eq(0), is_first_word.eq(1), is_last_word.eq(operation.length == 1), is_past.eq(operation.length == 0)]

        next_source, next_up = source + operation.stride, up + operation.stride
        half = operation.length >> 1
        m.d.comb += [
            # In the last cycle of a row that began before, the next instruction can be taken.
            is_free.eq(~active | (inside & has_no_gap & ~peak & is_last_slot & self.is_last)),
            self.issue.eq(self.command_valid & is_free),
            self.begin.eq(active & ~inside & self.has_place & self.has_words),
            moves.eq((self.begin | (active & inside)) & has_no_gap),
            is_last_slot.eq(Mux(operation.norm, is_past, is_last_word)),
            self.passes.eq(moves & is_first_word),
            self.ends.eq(moves & ~peak & is_last_slot),
            self.is_last.eq(is_last_row),
            self.word.valid.eq(moves & ~is_past),
            self.word.peak.eq(peak),
            self.word.first.eq(is_first_word),
            self.word.index.eq(index),
            self.word.pointer.eq(pointer),
            self.word.other.eq(Mux(operation.swiglu, up_pointer, Mux(index < half, pointer + half, pointer - half))[:POINTER_BITS]),
        ]
        with m.If(~has_no_gap):
            m.d.sync += [gap.eq(gap - 1), has_no_gap.eq(gap == 1)]
        # Whether the row moves is known late, so that it decides last.
        with m.If(moves):
            m.d.sync += [inside.eq(1), index.eq(index + 1), pointer.eq(pointer + 1), up_pointer.eq(up_pointer + 1)]
            m.d.sync += [is_first_word.eq(0), is_last_word.eq(index + 2 == operation.length), is_past.eq(is_last_word)]
            with m.If(peak & is_last_word):
                m.d.sync += [peak.eq(0), gap.eq(PEAK_LATENCY), has_no_gap.eq(PEAK_LATENCY == 0), pointer.eq(source), *begin_pass()]
            with m.If(~peak & is_last_slot):
                m.d.sync += [
                    inside.eq(0),
                    *begin_pass(),
                    peak.eq(operation.softmax),
                    self.row.eq(Mux(self.is_last, 0, self.row + 1)),
                    is_last_row.eq(self.row + 2 >= operation.rows),
                    source.eq(next_source),
                    pointer.eq(next_source),
                    up.eq(next_up),
                    up_pointer.eq(next_up),
                    active.eq(~self.is_last),
                ]
        # The last cycle of the row before has begun the pass, but for the length. An instruction is there before it is issued, so
        # that this drives few registers.
        with m.If(is_free):
            m.d.sync += [
                operation.eq(decoded),
                is_last_word.eq(length.single),
                is_past.eq(length.empty),
                peak.eq(decoded.softmax),
                is_last_row.eq(decoded.rows <= 1),
                source.eq(decoded.source),
                pointer.eq(decoded.source),
                up.eq(decoded.up),
                up_pointer.eq(decoded.up),
            ]
        with m.If(self.issue):
            m.d.sync += active.eq(1)
        return m


_COUNT_BITS = 32


class ScoreMask(wiring.Component):
    """`mask` is that of the word for which `valid` was high in the cycle before; `begin` starts a row in that same cycle.

    So the first word's `valid` is high a cycle after `begin`, when the next row may begin. `sink_words`, `sinks` and
    `ring` count with `begin`.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__(
            {
                "begin": In(1),
                "valid": In(1),
                "sink_words": In(8),
                "sinks": In(_COUNT_BITS),
                "ring": In(_COUNT_BITS),
                "mask": Out(lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words_left = Signal(8, reset_less=True)
        sinks_left, ring_left = (Signal(_COUNT_BITS, reset_less=True, name=name) for name in ("sinks_left", "ring_left"))
        in_ring = words_left == 0
        left = Mux(in_ring, ring_left, sinks_left)
        following = Mux(left > self.lanes, left - self.lanes, 0)
        m.d.sync += [self.mask[lane].eq(left > lane) for lane in range(self.lanes)]
        with m.If(self.begin):
            m.d.sync += [words_left.eq(self.sink_words), sinks_left.eq(self.sinks), ring_left.eq(self.ring)]
        with m.Elif(self.valid):
            with m.If(in_ring):
                m.d.sync += ring_left.eq(following)
            with m.Else():
                m.d.sync += [sinks_left.eq(following), words_left.eq(words_left - 1)]
        return m
