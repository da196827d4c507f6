"""The decoder that turns a stream word of any format into the 32 multiplier operands of a slice."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.complete import require_rows
from hwsim.arch.config import LANES_PER_SLICE, SLICE_BITS
from hwsim.arch.isa import Format
from rtl.matrix.accumulator import OFFSET
from rtl.matrix.records import STEP, is_any

__all__ = ["CODE", "COEFFICIENT", "Decoder"]

CODE = signed(5)
"""A multiplier operand: a 4-bit code, half of an 8-bit one, or a 2-bit code less its zero."""
COEFFICIENT = 3
"""Choice of operand that selects the AXPY coefficient; smaller choices number the inputs that the lane may take."""

_DECODED = (Format.W4, Format.W8, Format.W2, Format.W2S, Format.KV4, Format.KV8)
require_rows(_DECODED, Format, what="a decoder in the slices of the circuit", module=__name__)

_FIRST = Array([0, 0, 0, 1, 1, 2, 2, 2])
_SECOND = Array([0, 1, 2, 1, 2, 2, 2, 2])


class Decoder(wiring.Component):
    """Combinational decoder of one word.

    Members:
        step: what the word is.
        word: the stream word. pair: the (scale, offset) pair of its group. key: the entry of its row's header.
        codes: the operand of each lane.
        choices: which input each lane multiplies. Block i of four inputs serves lanes 2i and 2i + 1; the even lane
            takes input 0, 1 or 2 of the block, the odd lane input 1, 2 or 3, or both the coefficient.
        scale, offset: what the sum of products and the sum of the inputs are multiplied by.
    """

    step: In(STEP)
    word: In(SLICE_BITS)
    pair: In(16)
    key: In(32)
    codes: Out(data.ArrayLayout(CODE, LANES_PER_SLICE))
    choices: Out(data.ArrayLayout(2, LANES_PER_SLICE))
    scale: Out(8)
    offset: Out(OFFSET)

    def elaborate(self, platform):
        m = Module()
        step, word = self.step, self.word
        is_kept, is_dense = Signal(), Signal()
        is_wide, is_keys, is_upper = Signal(), Signal(), Signal()
        zero = Signal(2)
        halves = Signal(SLICE_BITS // 2)
        m.d.comb += [
            is_kept.eq(step.format == Format.W2S),
            is_dense.eq(step.format == Format.W2),
            is_wide.eq(step.format == Format.W8),
            is_upper.eq((step.format == Format.KV8) & step.half),
            is_keys.eq(is_any(step.format, lambda sizes: sizes.cache is not None)),
            zero.eq(Mux(is_kept, word[120:122], self.pair[8:10])),
            halves.eq(Mux(step.half, word[64:], word[:64])),
            self.scale.eq(Mux(is_kept, word[112:120], Mux(is_keys, Mux(is_upper, 16, 1), self.pair[:8]))),
        ]
        with m.If(step.format == Format.W4):
            m.d.comb += self.offset.eq(self.pair[8:].as_signed() << 4)
        with m.Elif(is_keys & ~is_upper):
            m.d.comb += self.offset.eq(-self.key[24:])
        for lane in range(LANES_PER_SLICE):
            block, odd = divmod(lane, 2)
            code = word.word_select(block, 7)
            nibble = word.word_select(lane, 4)
            position = (_SECOND if odd else _FIRST)[code[4:]]
            small = Mux(is_kept, code[2 * odd : 2 * odd + 2], halves.word_select(lane, 2))
            sign = is_wide & nibble[3] if odd else Const(0, 1)
            m.d.comb += [
                self.choices[lane].eq(Mux(step.axpy, COEFFICIENT, Mux(is_kept, position, 0))),
                self.codes[lane].eq(Mux(is_kept | is_dense, small - zero, Cat(nibble, sign).as_signed())),
            ]
            with m.If(step.null):
                m.d.comb += self.codes[lane].eq(0)
        return m
