"""The circuits of the engine's integer arithmetic: rounding, saturation, scales; bit for bit `hwsim.arch.numerics`."""

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
    "clamp",
    "combine",
    "leading_step",
    "magnitude",
    "normalize",
    "round_shift",
    "saturate",
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


def clamp(m: Module, x: Value, low: int, high: int, name: str) -> Signal:
    """Return x limited to low .. high, in the fewest bits that hold both."""
    limited = Signal(range(low, high + 1), name=name)
    m.d.comb += limited.eq(Mux(x < low, low, Mux(x > high, high, x)))
    return limited


def saturate(x: Value, bits: int) -> Value:
    """Return signed x limited to a signed `bits`-bit integer; overflow shows as sign bits that differ."""
    above = x[bits - 1 :]
    limit = Cat((~x[-1]).replicate(bits - 1), x[-1])
    return Mux(above.all() | ~above.any(), x[:bits], limit).as_signed()


def magnitude(x: Value) -> Value:
    """Return |x| of a signed value unsigned in the same width, so that the lowest value keeps its magnitude."""
    return Mux(x < 0, -x, x)[: len(x)]


def leading_step(x: Value, step: int) -> tuple[Value, Value]:
    """Return whether the top `step` bits of x are zero, and x moved up by `step` when they are."""
    empty = ~x[len(x) - step :].any()
    return empty, Mux(empty, Cat(Const(0, step), x[: len(x) - step]), x)[: len(x)]


def normalize(m: Module, x: Value, name: str) -> tuple[Signal, Signal]:
    """Return the scale (mantissa, exponent) of an unsigned x of 16 to 64 bits, combinationally; zero gives (0, 0)."""
    width = len(x)
    zeros: list[Value] = []
    moved = x
    step = 1 << ((width - 1).bit_length() - 1)
    while step:
        empty, moved = leading_step(moved, step)
        zeros.insert(0, empty)
        step >>= 1
    mantissa, exponent = Signal(MANTISSA, name=f"{name}_mantissa"), Signal(EXPONENT, name=f"{name}_exponent")
    m.d.comb += [mantissa.eq(moved[width - 16 :]), exponent.eq(Mux(x.any(), width - 16 - Cat(zeros), 0))]
    return mantissa, exponent


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

    A new operand every cycle, signed, of `x_bits` bits. Stages: multiply; shift by a multiple of eight; shift by the
    rest; round and saturate.
    """

    LATENCY = 4

    def __init__(self, fraction_bits: int = FRACTION_BITS, *, x_bits: int = 32):
        self.fraction_bits, self.x_bits = fraction_bits, x_bits
        super().__init__({"x": In(signed(x_bits)), "mantissa": In(MANTISSA), "exponent": In(EXPONENT), "result": Out(signed(32))})

    def elaborate(self, platform):
        m = Module()
        # One bit below the point is kept for rounding; a shift of zero leaves it zero.
        wide = self.x_bits + 18
        product = Signal(signed(wide), reset_less=True)
        coarse = Signal(signed(wide), reset_less=True)
        fine = Signal(signed(wide), reset_less=True)
        needed = Signal(signed(12))
        shift = Signal(range(SHIFT_LIMIT + 1), reset_less=True)
        rest = Signal(3, reset_less=True)
        rounded = Signal(signed(wide))
        m.d.comb += [needed.eq(-(self.exponent + self.fraction_bits)), rounded.eq((fine >> 1) + fine[0])]
        m.d.sync += [
            product.eq(Cat(Const(0, 1), self.x * self.mantissa).as_signed()),
            shift.eq(Mux(needed < 0, 0, Mux(needed > SHIFT_LIMIT, SHIFT_LIMIT, needed))),
            coarse.eq(product >> Cat(Const(0, 3), shift[3:])),
            rest.eq(shift[:3]),
            fine.eq(coarse >> rest),
            self.result.eq(saturate(rounded, 32)),
        ]
        return m
