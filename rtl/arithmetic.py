"""The circuits of the engine's integer arithmetic: rounding, saturation, scales, roots; bit for bit `hwsim.arch.numerics`."""

from collections.abc import Sequence

from amaranth import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.hdl import Value, ValueCastable
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.numerics import FRACTION_BITS

__all__ = [
    "EXPONENT",
    "MANTISSA",
    "SCALE",
    "SHIFT_LIMIT",
    "ApplyScale",
    "Combine",
    "HalfProducts",
    "Normalizer",
    "Reciprocal",
    "SquareRoot",
    "clamp",
    "combine",
    "leading_step",
    "magnitude",
    "round_shift",
    "saturate",
    "sum_is",
]

MANTISSA = unsigned(16)
EXPONENT = signed(10)
"""Shapes of the two halves of a scale inside the engine."""
SCALE = data.StructLayout({"mantissa": MANTISSA, "exponent": EXPONENT})
SHIFT_LIMIT = 48
"""Largest right shift of `apply_scale`."""


def round_shift(x: Value, shift: int) -> Value:
    """Return floor(x / 2**shift + 1/2) of a signed value for a constant shift; one bit narrower than x plus a carry."""
    if shift == 0:
        return x
    return (x >> shift) + x[shift - 1]


def sum_is(a: Value, b: Value, total: int) -> Value:
    """Return whether a + b, in the bits of b, is a number.

    It is where each bit of the number comes out with the carry that the bit below must then have given: no carry runs through.
    """
    carry, same = Const(0, 1), []
    for place in range(len(b)):
        left, right, wanted = a[place] if place < len(a) else Const(0, 1), b[place], total >> place & 1
        same.append((left ^ right ^ carry) == wanted)
        carry = left & right if wanted else left | right
    return Cat(same).all()


def clamp(x: Value, low: Value | int, high: Value | int) -> Value:
    """Return x limited to low .. high."""
    return Mux(x < low, low, Mux(x > high, high, x))


def saturate(x: Value, bits: int) -> Value:
    """Return signed x limited to a signed `bits`-bit integer; overflow shows as sign bits that differ."""
    above = x[bits - 1 :]
    limit = Cat((~x[-1]).replicate(bits - 1), x[-1])
    return Mux(above.all() | ~above.any(), x[:bits], limit).as_signed()


def magnitude(x: Value) -> Value:
    """Return |x| of a signed value unsigned in the same width, so that the lowest value keeps its magnitude."""
    return Mux(x < 0, -x, x)[: len(x)]


def leading_step(x: Value, step: int) -> tuple[Value, Value]:
    """Return how often `step` fits into the leading zeros of x, 3 at most, and x moved up by so many steps.

    All groups of bits are looked at side by side, and x is moved once.
    """
    high = len(x)
    groups = [x[max(0, high - step * (place + 1)) : max(0, high - step * place)].any() for place in range(3)]
    first, second, third = groups
    count = Cat(Mux(first | second, ~first, ~third), ~(first | second))
    moved = [Cat(Const(0, min(high, step * place)), x[: max(0, high - step * place)])[:high] for place in range(4)]
    return count, Mux(count[1], Mux(count[0], moved[3], moved[2]), Mux(count[0], moved[1], moved[0]))


def combine(m: Module, a: tuple[Value, Value], b: tuple[Value, Value], name: str = "combined") -> tuple[Signal, Signal]:
    """Return the product (mantissa, exponent) of two scales, combinationally: one 16 x 16 multiplier and an adder."""
    product = Signal(32, name=f"{name}_product")
    exponent = Signal(EXPONENT, name=f"{name}_sum")
    m.d.comb += [product.eq(a[0] * b[0]), exponent.eq(_signed(a[1]) + _signed(b[1]) + 15)]
    return _truncate(m, product, exponent, name)


def _truncate(m: Module, product: Signal, exponent: Signal, name: str) -> tuple[Signal, Signal]:
    """Return a product of mantissas and the sum of their exponents as a scale, truncated to 16 bits."""
    high = product[31]
    mantissa, total = Signal(MANTISSA, name=f"{name}_mantissa"), Signal(EXPONENT, name=f"{name}_exponent")
    m.d.comb += [mantissa.eq(Mux(high, product[16:32], product[15:31])), total.eq(exponent + high)]
    return mantissa, total


def _signed(exponent: Value | ValueCastable | int) -> Value:
    """Return an exponent read as two's complement, whatever view of its bits was handed in."""
    value = Value.cast(exponent)
    return value if value.shape().signed or isinstance(exponent, int) else value.as_signed()


class Combine(wiring.Component):
    """Multiply two scales: `result` is `numerics.combine(a, b)` LATENCY cycles later, a new one every cycle."""

    LATENCY = 1

    a: In(SCALE)
    b: In(SCALE)
    result: Out(SCALE)

    def elaborate(self, platform):
        m = Module()
        product = Signal(32, reset_less=True)
        exponent = Signal(EXPONENT, reset_less=True)
        m.d.sync += [product.eq(self.a.mantissa * self.b.mantissa), exponent.eq(self.a.exponent + self.b.exponent + 15)]
        mantissa, total = _truncate(m, product, exponent, "result")
        m.d.comb += [self.result.mantissa.eq(mantissa), self.result.exponent.eq(total)]
        return m


class ApplyScale(wiring.Component):
    """`result` is `numerics.apply_scale(x, (mantissa, exponent), fraction_bits)` LATENCY cycles later.

    A new operand every cycle, signed, of more than 16 `x_bits`. Stages: multiply its halves; add them and shift by a multiple of
    eight; shift by the rest; round and saturate.
    """

    LATENCY = 4

    def __init__(self, fraction_bits: int = FRACTION_BITS, *, x_bits: int = 32):
        self.fraction_bits, self.x_bits = fraction_bits, x_bits
        super().__init__({"x": In(signed(x_bits)), "mantissa": In(MANTISSA), "exponent": In(EXPONENT), "result": Out(signed(32))})

    def elaborate(self, platform):
        m = Module()
        # One bit below the point is kept for rounding; a shift of zero leaves it zero.
        wide = self.x_bits + 18
        coarse, fine = (Signal(signed(wide), reset_less=True, name=name) for name in ("coarse", "fine"))
        product = HalfProducts(m, self.x, self.mantissa, "product")
        needed = Signal(signed(12))
        shift = Signal(range(SHIFT_LIMIT + 1), reset_less=True)
        rest = Signal(3, reset_less=True)
        rounded = Signal(signed(wide))
        m.d.comb += [needed.eq(-(self.exponent + self.fraction_bits)), rounded.eq((fine >> 1) + fine[0])]
        m.d.sync += [
            shift.eq(clamp(needed, 0, SHIFT_LIMIT)),
            coarse.eq(Cat(Const(0, 1), product.total).as_signed() >> Cat(Const(0, 3), shift[3:])),
            rest.eq(shift[:3]),
            fine.eq(coarse >> rest),
            self.result.eq(saturate(rounded, 32)),
        ]
        return m


class HalfProducts:
    """The products of the two halves of a signed value with another value, one cycle later, and their `total`.

    A half takes one DSP, with its registers inside; the whole value takes a cascade of two, which leaves little of a cycle.
    """

    _HALF_BITS = 16

    def __init__(self, m: Module, x: Value, factor: Value, name: str):
        assert len(x) > self._HALF_BITS
        halves = x[: self._HALF_BITS], x[self._HALF_BITS :].as_signed()
        self._low, self._high = (
            Signal((half * factor).shape(), name=f"{name}_{place}", reset_less=True)
            for half, place in zip(halves, ("low", "high"), strict=True)
        )
        m.d.sync += [self._low.eq(halves[0] * factor), self._high.eq(halves[1] * factor)]
        self._width = len(x) + len(factor)

    @property
    def total(self) -> Value:
        """The product, combinationally from the registers: an addition of all bits but the lowest half."""
        low, bits = self._low, self._HALF_BITS
        above = low[bits:].as_signed() if low.shape().signed else low[bits:]
        return Cat(low[:bits], self._high + above)[: self._width].as_signed()


_RESULT_BITS = 16
_BITS_PER_CYCLE = 2


class Normalizer(wiring.Component):
    """`numerics.normalize` of an unsigned integer of 33 to 64 bits, LATENCY cycles later; a new one every cycle."""

    LATENCY = 3
    _STEPS = (16, 4, 1)

    def __init__(self, width: int):
        self.width = width
        super().__init__({"x": In(unsigned(width)), "mantissa": Out(MANTISSA), "exponent": Out(EXPONENT)})

    def elaborate(self, platform):
        m = Module()
        moved: Value = self.x
        zeros: list[Value] = []
        for cycle, step in enumerate(self._STEPS):
            steps, moved = leading_step(moved, step)
            zeros.insert(0, steps)
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

    A restoring division, two quotient bits between registers, which are found together.
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
        thrice: Value = divisor + (divisor << 1)
        for cycle in range(self.LATENCY):
            # The dividend is all ones: a one is brought down for each bit, all multiples of the divisor are tried side by side.
            bits = 1 if cycle == 0 else _BITS_PER_CYCLE
            brought = Signal(17 + bits, name=f"brought_{cycle}")
            m.d.comb += brought.eq(Cat(Const((1 << bits) - 1, bits), rest))
            multiples = [divisor, divisor << 1, thrice][: (1 << bits) - 1]
            digit, rest = _divide(m, brought, multiples, 17, f"{cycle}")
            quotient = Cat(digit, quotient)
            held = _registers(m, cycle, divisor=divisor, thrice=thrice, rest=rest, quotient=quotient, exponent=exponent)
            divisor, thrice, rest, quotient, exponent = held.values()
        m.d.comb += [self.quotient.eq(quotient), self.quotient_exponent.eq(exponent)]
        return m


def _divide(m: Module, brought: Value, multiples: Sequence[Value], bits: int, name: str) -> tuple[Value, Value]:
    """Return how many of the multiples 1, or 1 to 3, of a divisor fit, and what is left over, of so many bits."""
    left = [brought]
    fits = []
    for number, multiple in enumerate(multiples, 1):
        less = Signal(signed(len(brought) + 2), name=f"less_{number}_{name}")
        m.d.comb += less.eq(brought - multiple)
        left.append(less)
        fits.append(~less[-1])
    if len(fits) == 1:
        return fits[0], Mux(fits[0], left[1], left[0])[:bits]
    one, two, three = fits
    digit = Signal(2, name=f"digit_{name}")
    m.d.comb += digit.eq(Cat(Mux(two, three, one), two))
    rest = Mux(two, Mux(three, left[3], left[2]), Mux(one, left[1], left[0]))[:bits]
    return digit, rest


class SquareRoot(wiring.Component):
    """The root `numerics.rsqrt` takes of a normalized or zero scale before its reciprocal, LATENCY cycles later.

    A new one every cycle, two bits of the root between registers, which are found together.
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
            # Both bits together: the second one for either value of the first, and then the choice.
            high = len(radicand)
            brought = Signal(22, name=f"brought_{cycle}")
            m.d.comb += brought.eq(Cat(radicand[high - 4 :], rest))
            once, with_first, without = (Signal(signed(24), name=f"{name}_{cycle}") for name in ("once", "with_first", "without"))
            m.d.comb += [
                once.eq(brought[2:] - ((root << 2) + 1)),
                with_first.eq(brought - (root << 4) - ((root << 3) + 9)),
                without.eq(brought - ((root << 3) + 1)),
            ]
            first = ~once[-1]
            second = Mux(first, ~with_first[-1], ~without[-1])
            left_with = Mux(with_first[-1], Cat(brought[:2], once), with_first)
            left_without = Mux(without[-1], brought, without)
            rest = Mux(first, left_with, left_without)[:18]
            root, radicand = Cat(second, first, root), radicand[: high - 4]
            held = _registers(m, cycle, radicand=radicand, rest=rest, root=root, exponent=exponent)
            radicand, rest, root, exponent = held.values()
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
