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
    """`numerics.reciprocal` of a normalized or zero scale, LATENCY cycles later; a new one every cycle.

    A restoring division, two quotient bits between registers.
    """

    LATENCY = _RESULT_BITS // _BITS_PER_CYCLE

    mantissa: In(MANTISSA)
    exponent: In(EXPONENT)
    quotient: Out(MANTISSA)
    quotient_exponent: Out(EXPONENT)

    def elaborate(self, platform):
        m = Module()
        divisor: Value = self.mantissa
        # The upper half of 2**31 - 1 and one bit more, which every divisor fits once.
        rest: Value = ((1 << 16) - 1 - self.mantissa)[:17]
        quotient: Value = Const(1, 1)
        exponent: Value = -31 - self.exponent
        for cycle in range(self.LATENCY):
            for number in range(1 if cycle == 0 else 0, _BITS_PER_CYCLE):
                # The dividend is all ones: a one is brought down each time.
                trial = Signal(18, name=f"trial_{cycle}_{number}")
                fits = Signal(name=f"fits_{cycle}_{number}")
                kept = Signal(17, name=f"kept_{cycle}_{number}")
                m.d.comb += [
                    trial.eq(Cat(Const(1, 1), rest)),
                    fits.eq(trial >= divisor),
                    kept.eq(Mux(fits, trial - divisor, trial)),
                ]
                rest, quotient = kept, Cat(fits, quotient)
            held = _registers(m, cycle, divisor=divisor, rest=rest, quotient=quotient, exponent=exponent)
            divisor, rest, quotient, exponent = (held[name] for name in ("divisor", "rest", "quotient", "exponent"))
        m.d.comb += [self.quotient.eq(quotient), self.quotient_exponent.eq(exponent)]
        return m


class SquareRoot(wiring.Component):
    """The root `numerics.rsqrt` takes of a normalized or zero scale before its reciprocal, LATENCY cycles later.

    A new one every cycle, two bits of the root between registers.
    """

    LATENCY = _RESULT_BITS // _BITS_PER_CYCLE

    mantissa: In(MANTISSA)
    exponent: In(EXPONENT)
    root: Out(MANTISSA)
    root_exponent: Out(EXPONENT)

    def elaborate(self, platform):
        m = Module()
        odd = self.exponent[0]
        radicand: Value = Mux(odd, Cat(Const(0, 15), self.mantissa, Const(0, 1)), Cat(Const(0, 16), self.mantissa))
        rest: Value = Const(0, 18)
        root: Value = Const(0, 0)
        exponent: Value = ((self.exponent - 16 + odd) >> 1)[: len(self.root_exponent)].as_signed()
        for cycle in range(self.LATENCY):
            for number in range(_BITS_PER_CYCLE):
                high = len(radicand)
                brought = Signal(20, name=f"brought_{cycle}_{number}")
                trial = Signal(18, name=f"trial_{cycle}_{number}")
                fits = Signal(name=f"fits_{cycle}_{number}")
                kept = Signal(18, name=f"kept_{cycle}_{number}")
                m.d.comb += [
                    brought.eq(Cat(radicand[high - 2 :], rest)),
                    trial.eq(Cat(Const(1, 2), root)),
                    fits.eq(brought >= trial),
                    kept.eq(Mux(fits, brought - trial, brought)),
                ]
                rest, root, radicand = kept, Cat(fits, root), radicand[: high - 2]
            held = _registers(m, cycle, radicand=radicand, rest=rest, root=root, exponent=exponent)
            radicand, rest, root, exponent = (held[name] for name in ("radicand", "rest", "root", "exponent"))
        m.d.comb += [self.root.eq(root), self.root_exponent.eq(exponent)]
        return m


def _registers(m: Module, cycle: int, **values: Value) -> dict[str, Signal]:
    """Return a register of each value; one of no bits, with nothing left to bring down, stays as it is."""
    held = {}
    for name, value in values.items():
        held[name] = value
        if len(value):
            held[name] = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=True)
            m.d.sync += held[name].eq(value)
    return held
