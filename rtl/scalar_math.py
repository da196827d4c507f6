"""Circuits for one number at a time: normalization, reciprocal and square root, bit for bit `hwsim.arch.numerics`."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.arithmetic import EXPONENT, MANTISSA, leading_step

__all__ = ["Normalizer", "Reciprocal", "SquareRoot"]

_RESULT_BITS = 16
_BITS_PER_CYCLE = 2


class Normalizer(wiring.Component):
    """`numerics.normalize` of an unsigned integer of 33 to 64 bits, LATENCY cycles later; a new one every cycle."""

    LATENCY = 3
    _STEPS = ((32, 16), (8, 4), (2, 1))

    def __init__(self, width: int):
        self.width = width
        super().__init__({"x": In(unsigned(width)), "mantissa": Out(MANTISSA), "exponent": Out(EXPONENT)})

    def elaborate(self, platform):
        m = Module()
        moved: Value = self.x
        zeros: list[Value] = []
        for cycle, steps in enumerate(self._STEPS):
            for step in steps:
                empty, moved = leading_step(moved, step)
                zeros.insert(0, empty)
            following = Signal(unsigned(self.width), name=f"moved_{cycle}", reset_less=True)
            count = Signal(unsigned(len(Cat(zeros))), name=f"zeros_{cycle}", reset_less=True)
            m.d.sync += [following.eq(moved), count.eq(Cat(zeros))]
            moved, zeros = following, [count]
        m.d.comb += [
            self.mantissa.eq(moved[self.width - 16 :]),
            # Zero has no leading bit to find; every other value ends with its highest bit set.
            self.exponent.eq(Mux(moved[-1], self.width - 16 - zeros[0], 0)),
        ]
        return m


class Reciprocal(wiring.Component):
    """`numerics.reciprocal` of a normalized or zero scale: two bits a cycle of a restoring division.

    The operand is taken with `start`; the result is there LATENCY cycles after and stays until the next start.
    """

    LATENCY = 1 + _RESULT_BITS // _BITS_PER_CYCLE

    start: In(1)
    mantissa: In(MANTISSA)
    exponent: In(EXPONENT)
    quotient: Out(MANTISSA)
    quotient_exponent: Out(EXPONENT)

    def elaborate(self, platform):
        m = Module()
        divisor = Signal(MANTISSA, reset_less=True)
        remainder = Signal(17, reset_less=True)
        left = Signal(range(_RESULT_BITS + 1))
        rest: Value = remainder
        quotient: Value = self.quotient
        for number in range(_BITS_PER_CYCLE):
            # The dividend is all ones: a one is brought down each time.
            trial = Signal(18, name=f"trial_{number}")
            fits = Signal(name=f"fits_{number}")
            kept = Signal(17, name=f"kept_{number}")
            m.d.comb += [
                trial.eq(Cat(Const(1, 1), rest)),
                fits.eq(trial >= divisor),
                kept.eq(Mux(fits, trial - divisor, trial)),
            ]
            rest, quotient = kept, Cat(fits, quotient)
        with m.If(self.start):
            m.d.sync += [
                divisor.eq(self.mantissa),
                # The upper half of 2**31 - 1; below every normalized divisor.
                remainder.eq((1 << 15) - 1),
                self.quotient_exponent.eq(-31 - self.exponent),
                left.eq(_RESULT_BITS // _BITS_PER_CYCLE),
            ]
        with m.Elif(left != 0):
            m.d.sync += [remainder.eq(rest), self.quotient.eq(quotient[:_RESULT_BITS]), left.eq(left - 1)]
        return m


class SquareRoot(wiring.Component):
    """The root `numerics.rsqrt` takes of a normalized or zero scale before its reciprocal: two bits a cycle.

    The operand is taken with `start`; the result is there LATENCY cycles after and stays until the next start.
    """

    LATENCY = 1 + _RESULT_BITS // _BITS_PER_CYCLE

    start: In(1)
    mantissa: In(MANTISSA)
    exponent: In(EXPONENT)
    root: Out(MANTISSA)
    root_exponent: Out(EXPONENT)

    def elaborate(self, platform):
        m = Module()
        radicand = Signal(32, reset_less=True)
        remainder = Signal(18, reset_less=True)
        left = Signal(range(_RESULT_BITS + 1))
        rest: Value = remainder
        root: Value = self.root
        for number in range(_BITS_PER_CYCLE):
            high = 32 - 2 * number
            brought = Signal(20, name=f"brought_{number}")
            trial = Signal(18, name=f"trial_{number}")
            fits = Signal(name=f"fits_{number}")
            kept = Signal(18, name=f"kept_{number}")
            m.d.comb += [
                brought.eq(Cat(radicand[high - 2 : high], rest)),
                trial.eq(Cat(Const(1, 2), root[:_RESULT_BITS])),
                fits.eq(brought >= trial),
                kept.eq(Mux(fits, brought - trial, brought)),
            ]
            rest, root = kept, Cat(fits, root[: _RESULT_BITS - 1])
        odd = self.exponent[0]
        with m.If(self.start):
            m.d.sync += [
                radicand.eq(Mux(odd, Cat(Const(0, 15), self.mantissa), Cat(Const(0, 16), self.mantissa))),
                remainder.eq(0),
                self.root.eq(0),
                self.root_exponent.eq((self.exponent - 16 + odd) >> 1),
                left.eq(_RESULT_BITS // _BITS_PER_CYCLE),
            ]
        with m.Elif(left != 0):
            m.d.sync += [
                radicand.eq(Cat(Const(0, 2 * _BITS_PER_CYCLE), radicand[: -2 * _BITS_PER_CYCLE])),
                remainder.eq(rest),
                self.root.eq(root),
                left.eq(left - 1),
            ]
        return m
