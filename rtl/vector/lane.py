"""The datapath of one lane: every pass of every instruction is one way through two multipliers and a rounding shift."""

from amaranth import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.numerics import ACT_LIMIT, EXP2_ONE_BITS, SILU_BITS, SQUARE_SHIFT, WEIGHT_FRACTION_BITS
from rtl.arithmetic import SHIFT_LIMIT, magnitude, round_shift, saturate
from rtl.instance import Shared
from rtl.vector.tables import Exp2Neg, Sigmoid

__all__ = ["ADDEND_BITS", "KEY_BITS", "LANE_CONTROL", "SHIFT_BITS", "Lane", "Stage"]

SHIFT_BITS = SHIFT_LIMIT.bit_length()
KEY_BITS = 33
"""Bits of a signed value whose maximum is taken: magnitudes and negatives of every 32-bit value."""
ADDEND_BITS = 49
"""Bits of an unsigned value whose sum is taken: the largest square after its rounding shift."""

LANE_CONTROL = data.StructLayout(
    {
        "peak": 1,
        "quantize": 1,
        "norm": 1,
        "swiglu": 1,
        "rotate": 1,
        "softmax": 1,
        "cache": 1,
        "shift": SHIFT_BITS,
        "multiplier": 16,
        "zero": 4,
    }
)
"""What all lanes do during a pass.

`peak` and `quantize` are the first and last pass, `rotate` is low in the last one; `multiplier` is the mantissa of the
inverse, `zero` the zero point of the cache codes; `shift` belongs to the product."""


class Stage:
    """In which cycle after its selection a word is where; addresses are presented a cycle before their data."""

    EARLY = 1
    """Gates of SWIGLU and scores of the second SOFTMAX pass arrive: what goes through a table first."""
    LATE = 7
    """Everything else arrives, with the mask; operands are registered next."""
    OPERAND = 8
    PRODUCT = 10
    VALUE = 13
    """The lane's value leaves; keys and codes follow in the next cycle."""
    CODE = 14


class Lane(Shared):
    """One lane; a word every cycle. Outputs are valid at the stages `Stage` names.

    `value` (VALUE) goes to temporary memory, `code` (CODE) to activation memory or pack buffer; `key` and `opposite`
    (CODE) are what the maxima are taken of; `addend` is what is summed: squares of NORM (PRODUCT + 1), weights of
    SOFTMAX (OPERAND + 1), and in its last pass products of codes and zero points (CODE + 1), for which `h` must arrive
    at CODE.
    """

    module = "lamforge_vector_lane"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the signature; every lane of every engine has the same."""
        return {
            "control": In(LANE_CONTROL),
            "mask": In(1),
            "top": In(signed(32)),
            "y_a": In(signed(32)),
            "y_b": In(signed(32)),
            "x": In(signed(32)),
            "p": In(signed(32)),
            "h": In(unsigned(32)),
            "z": In(signed(32)),
            "value": Out(signed(32)),
            "key": Out(signed(KEY_BITS)),
            "opposite": Out(signed(KEY_BITS)),
            "code": Out(signed(8)),
            "addend": Out(unsigned(ADDEND_BITS)),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.sigmoid = sigmoid = Sigmoid()
        m.submodules.exp2 = exp2 = Exp2Neg()
        control = self.control
        cosine, sine = self.p[:16].as_signed(), self.p[16:].as_signed()

        # The second multiplier: gate times sigmoid before the first one; squares and the sine part beside it.
        factor_a, factor_b = (Signal(signed(32), name=f"factor_{n}", reset_less=True) for n in "ab")
        side_raw, side_product = (
            Signal(signed(64), name=name, reset_less=True) for name in ("side_raw", "side_product")
        )
        m.d.comb += sigmoid.x.eq(self.y_a)
        m.d.sync += [side_raw.eq(factor_a * factor_b), side_product.eq(side_raw)]
        with m.If(control.swiglu):
            m.d.sync += [factor_a.eq(sigmoid.x_delayed), factor_b.eq(sigmoid.result)]
        with m.Elif(control.norm):
            m.d.sync += [factor_a.eq(self.x), factor_b.eq(self.x)]
        with m.Else():
            m.d.sync += [factor_a.eq(self.y_b), factor_b.eq(sine)]

        # The first multiplier and the shift of its product.
        operand_a, operand_b = (Signal(signed(32), name=f"operand_{n}", reset_less=True) for n in "ab")
        shift = [Signal(SHIFT_BITS, name=f"shift_{n}", reset_less=True) for n in range(3)]
        distance = Signal(32, reset_less=True)
        needed = Signal(signed(10))
        weight_bits = WEIGHT_FRACTION_BITS - EXP2_ONE_BITS
        m.d.comb += [exp2.distance.eq(distance), needed.eq(-(self.h[16:24].as_signed() + weight_bits))]
        m.d.sync += [
            distance.eq(self.top - self.y_a),
            shift[0].eq(control.shift),
            shift[1].eq(shift[0]),
            shift[2].eq(shift[1]),
        ]
        with m.If(control.quantize):
            m.d.sync += [operand_a.eq(self.z), operand_b.eq(control.multiplier)]
        with m.Elif(control.norm):
            m.d.sync += [operand_a.eq(self.x), operand_b.eq(self.p)]
        with m.Elif(control.swiglu):
            m.d.sync += [operand_a.eq(round_shift(side_product, SILU_BITS)), operand_b.eq(self.y_b)]
        with m.Elif(control.softmax & control.peak):
            m.d.sync += [operand_a.eq(Mux(self.mask, self.y_a, -(1 << 31))), operand_b.eq(1)]
        with m.Elif(control.softmax):
            m.d.sync += [
                operand_a.eq(Mux(self.mask, exp2.result, 0)),
                operand_b.eq(self.h[:16]),
                shift[0].eq(Mux(needed < 0, 0, Mux(needed > SHIFT_LIMIT, SHIFT_LIMIT, needed))),
            ]
        with m.Else():
            m.d.sync += [operand_a.eq(self.y_a), operand_b.eq(Mux(control.rotate, cosine, 1))]

        # Product, sum of the rotation, rounding shift in two steps with one bit kept below the point, saturation.
        raw, product = (Signal(signed(64), name=name, reset_less=True) for name in ("raw", "product"))
        rotated = Signal(signed(65))
        coarse, fine = (Signal(signed(66), name=name, reset_less=True) for name in ("coarse", "fine"))
        rest = Signal(3, reset_less=True)
        rounded = Signal(signed(66))
        m.d.comb += [
            rotated.eq(product + Mux(control.rotate, side_product, 0)),
            rounded.eq((fine >> 1) + fine[0]),
        ]
        m.d.sync += [
            raw.eq(operand_a * operand_b),
            product.eq(raw),
            coarse.eq(Cat(Const(0, 1), rotated).as_signed() >> Cat(Const(0, 3), shift[2][3:])),
            rest.eq(shift[2][:3]),
            fine.eq(coarse >> rest),
            self.value.eq(saturate(rounded, 32)),
        ]

        # What follows the value: a key for the maxima, a code, a contribution to the sum.
        low = Mux(control.softmax, 0, -ACT_LIMIT)
        shifted_code = Signal(signed(34))
        m.d.comb += shifted_code.eq(self.value + control.zero)
        m.d.sync += [
            self.key.eq(Mux(control.cache | (control.softmax & control.peak), self.value, magnitude(self.value))),
            self.opposite.eq(-self.value),
        ]
        with m.If(control.cache):
            m.d.sync += self.code.eq(Mux(shifted_code < 0, 0, Mux(shifted_code > 15, 15, shifted_code)))
        with m.Else():
            m.d.sync += self.code.eq(Mux(self.value < low, low, Mux(self.value > ACT_LIMIT, ACT_LIMIT, self.value)))
        with m.If(control.quantize):
            m.d.sync += self.addend.eq(self.code[:7] * self.h[24:])
        with m.Elif(control.norm):
            m.d.sync += self.addend.eq(round_shift(side_product, SQUARE_SHIFT))
        with m.Else():
            m.d.sync += self.addend.eq(operand_a)
        return m
