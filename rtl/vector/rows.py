"""The rows between the start of their first pass and the end of their codes, and the schedule of the second pass."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.timing import VECTOR_ROWS
from rtl.interfaces import flags
from rtl.vector.operation import LENGTH_BITS, OPERATION

__all__ = ["CODED", "KEPT", "ROW", "ROW_NUMBER", "Rows"]

ROW_NUMBER = range(VECTOR_ROWS)

KEPT = ("length", "null", "softmax", "cache", "value", "wide", "destination", "scale", "entry", "mantissa", "exponent")
"""The fields of an operation that are kept of each of its rows; `scale` is the row's own."""

ROW = data.StructLayout({name: OPERATION[name].shape for name in KEPT} | {"is_last": 1, "row": OPERATION["rows"].shape})
"""The facts that are kept of a row; `null`: it writes nothing, `is_last`: the last of its instruction."""

CODED = data.StructLayout({"valid": 1, "first": 1, "last": 1, "index": LENGTH_BITS, "number": ROW_NUMBER})
"""A word selected for the second pass: whether there is one, the row's first, its last, its number, the row's number."""


class Rows(wiring.Component):
    """Keeps the rows by number modulo VECTOR_ROWS, counts the words they hold, and selects the words of the second pass.

    Members:
        begin, row: a row begins its first pass in this cycle. has_place, has_words: it may where both are up. number: its number.
        measured: the next row's inverse can be read from the next cycle on.
        word: the word of the second pass in this cycle. coded: its row.
        measured_number, measured_row: one more read port, combinational, for rows whose codes have not begun.
    """

    def __init__(self, temporary_words: int):
        self.temporary_words = temporary_words
        super().__init__(
            {
                "begin": In(1),
                "row": In(ROW),
                **flags(Out, "has_place", "has_words"),
                "number": Out(ROW_NUMBER),
                "measured": In(1),
                "word": Out(CODED),
                "coded": Out(ROW),
                "measured_number": In(ROW_NUMBER),
                "measured_row": Out(ROW),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = Array(Signal(ROW, name=f"row_{place}", reset_less=True) for place in range(VECTOR_ROWS))
        free_words = Signal(range(self.temporary_words + 1), init=self.temporary_words)
        held, ready = Signal(range(VECTOR_ROWS + 1)), Signal(range(VECTOR_ROWS + 1))
        current, index, inside = Signal(ROW_NUMBER), Signal(LENGTH_BITS), Signal()
        coded, word = self.coded, self.word
        ends, starts, is_last = Signal(), Signal(), Signal()
        m.d.comb += [
            self.has_place.eq(held != VECTOR_ROWS),
            self.has_words.eq(self.row.length <= free_words),
            self.measured_row.eq(rows[self.measured_number]),
            starts.eq(~inside & (ready != 0)),
            word.valid.eq(inside | starts),
            word.first.eq(~inside),
            word.last.eq(is_last),
            word.index.eq(index),
            word.number.eq(current),
            ends.eq(word.valid & word.last),
        ]
        # A row was begun long before its codes, so that it can be read a cycle ahead.
        kept = Signal(ROW, reset_less=True)
        m.d.comb += coded.eq(kept)
        m.d.sync += kept.eq(rows[current])
        following = rows[(current + 1)[: len(current)]]
        with m.If(ends):
            m.d.sync += kept.eq(following)
        # Equals `index + 1 == coded.length` of a row that has begun, but comes from a register.
        m.d.sync += is_last.eq(
            Mux(ends, following.length == 1, Mux(word.valid, index + 2 == coded.length, rows[current].length == 1))
        )
        with m.If(self.begin):
            m.d.sync += [rows[self.number].eq(self.row), self.number.eq(self.number + 1)]
        with m.If(word.valid):
            m.d.sync += [inside.eq(~word.last), index.eq(index + 1)]
        with m.If(ends):
            m.d.sync += [index.eq(0), current.eq(current + 1)]
        m.d.sync += [held.eq(held + self.begin - ends), ready.eq(ready + self.measured - starts)]
        taken, given = Signal(LENGTH_BITS), Signal(LENGTH_BITS)
        with m.If(self.begin):
            m.d.comb += taken.eq(self.row.length)
        with m.If(ends):
            m.d.comb += given.eq(coded.length)
        m.d.sync += free_words.eq(free_words + given - taken)
        return m
