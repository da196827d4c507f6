"""The datapaths of one lane: from its operands to a value in the first pass, from the value to a code in the second."""

from amaranth import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.numerics import ACT_LIMIT, EXP2_ONE_BITS, SILU_BITS, SQUARE_SHIFT, WEIGHT_FRACTION_BITS, kv_limit
from rtl.arithmetic import SCALE, SHIFT_LIMIT, ApplyScale, HalfProducts, clamp, magnitude, round_shift, saturate
from rtl.instance import Shared
from rtl.pipeline import Pipeline
from rtl.vector.stages import CodeStage, Stage
from rtl.vector.tables import Exp2Neg, Sigmoid

__all__ = [
    "ADDEND_BITS",
    "CODER_CONTROL",
    "CODE_SUM_BITS",
    "KEY_BITS",
    "LANE_CONTROL",
    "SHIFT_BITS",
    "ZERO_POINT_BITS",
    "Coder",
    "Lane",
]

SHIFT_BITS = SHIFT_LIMIT.bit_length()
KEY_BITS = 33
"""Bits of a signed value whose maximum is taken: magnitudes and negatives of every 32-bit value."""
ADDEND_BITS = 49
"""Bits of an unsigned value whose sum is taken: the largest square after its rounding shift."""
ZERO_POINT_BITS = 8
"""Bits of a value parameter's zero point."""

LANE_CONTROL = data.StructLayout({"norm": 1, "swiglu": 1, "rotate": 1, "softmax": 1, "cache": 1, "shift": SHIFT_BITS})
"""The operation of a lane on a word: the kind of its instruction, and the right shift of its product (not of a score)."""


class Lane(Shared):
    """One lane; a word every cycle. Inputs and outputs are at the stages of `Stage` named here.

    Members:
        y_a, top (EARLY): a result; the largest score of the row.
        control (LATE - 1): what to do; every lane has registers of its own for it, which drive its operands.
        mask, y_b, x, p, h (LATE): whether the score is valid, and the other operands.
        value, zero_point (VALUE): for the temporary memory; the zero point is 0 but for scores.
        key, opposite (KEY): what the maxima are taken of.
        addend (ADDEND): what is summed: squares of NORM, weights of SOFTMAX.
    """

    module = "lamforge_vector_lane"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        return {
            "control": In(LANE_CONTROL),
            "mask": In(1),
            "top": In(signed(32)),
            "y_a": In(signed(32)),
            "y_b": In(signed(32)),
            "x": In(signed(32)),
            "p": In(signed(32)),
            "h": In(unsigned(32)),
            "value": Out(signed(32)),
            "zero_point": Out(unsigned(ZERO_POINT_BITS)),
            "key": Out(signed(KEY_BITS)),
            "opposite": Out(signed(KEY_BITS)),
            "addend": Out(unsigned(ADDEND_BITS)),
        }

    def elaborate(self, platform):
        m = Module()
        self._control = Pipeline(m, self.control, Stage.LATE - 1, "control", is_copy=True)
        side = self._multiply_aside(m)
        operands = self._operands(m)
        product = self._multiply(m, *operands)
        self._finish(m, product, side, operands[0])
        return m

    def _multiply_aside(self, m: Module) -> Signal:
        """Return, at PRODUCT, the square of a residual or the sine part of a rotation."""
        a, b = (Signal(signed(32), name=f"side_{n}", reset_less=True) for n in "ab")
        product = Signal(signed(64), name="side_product", reset_less=True)
        norm = self._control.at(Stage.LATE).norm
        m.d.sync += [
            a.eq(Mux(norm, self.x, self.y_b)),
            b.eq(Mux(norm, self.x, self.p[16:].as_signed())),
            product.eq(HalfProducts(m, b, a, "side_raw").total),
        ]
        return product

    def _gated(self, m: Module) -> Signal:
        """Return, at LATE, a gate times its sigmoid."""
        m.submodules.sigmoid = sigmoid = Sigmoid()
        a, b = Signal(signed(32), name="gate", reset_less=True), Signal(17, name="share", reset_less=True)
        raw, product = (Signal(signed(50), name=name, reset_less=True) for name in ("gated_raw", "gated"))
        m.d.comb += sigmoid.x.eq(self.y_a)
        m.d.sync += [a.eq(sigmoid.x_delayed), b.eq(sigmoid.result), raw.eq(a * b), product.eq(raw)]
        assert Stage.EARLY + Sigmoid.LATENCY + 3 == Stage.LATE
        return product

    def _operands(self, m: Module) -> tuple[Signal, Signal]:
        """Return the two factors of the product, at OPERAND."""
        m.submodules.exp2 = exp2 = Exp2Neg()
        distance = Signal(32, reset_less=True)
        m.d.sync += distance.eq(self.top - self.y_a)
        m.d.comb += exp2.distance.eq(distance)
        assert Stage.EARLY + 1 + Exp2Neg.LATENCY == Stage.LATE
        gated = self._gated(m)
        y_a = Pipeline(m, self.y_a, Stage.EARLY, "y_a", has_flip_flops=True).at(Stage.LATE)
        a, b = (Signal(signed(32), name=f"operand_{n}", reset_less=True) for n in "ab")
        control = self._control.at(Stage.LATE)
        with m.If(control.norm):
            m.d.sync += [a.eq(self.x), b.eq(self.p)]
        with m.Elif(control.swiglu):
            m.d.sync += [a.eq(round_shift(gated, SILU_BITS)), b.eq(self.y_b)]
        with m.Elif(control.softmax):
            m.d.sync += [a.eq(Mux(self.mask, exp2.result, 0)), b.eq(self.h[:16])]
        with m.Else():
            m.d.sync += [a.eq(y_a), b.eq(Mux(control.rotate, self.p[:16].as_signed(), 1))]
        return a, b

    def _multiply(self, m: Module, a: Signal, b: Signal) -> Signal:
        """Return the product, at PRODUCT."""
        product = Signal(signed(64), name="product", reset_less=True)
        m.d.sync += product.eq(HalfProducts(m, b, a, "raw").total)
        return product

    def _finish(self, m: Module, product: Signal, side: Signal, weight: Signal) -> None:
        """Add the sine part, shift with rounding in two steps, saturate; then derive the statistics' inputs from the value."""
        needed = Signal(signed(10))
        weight_bits = WEIGHT_FRACTION_BITS - EXP2_ONE_BITS
        shift = Signal(SHIFT_BITS, name="shift_operand", reset_less=True)
        m.d.comb += needed.eq(-(self.h[16:24].as_signed() + weight_bits))
        late = self._control.at(Stage.LATE)
        with m.If(late.softmax):
            m.d.sync += shift.eq(clamp(needed, 0, SHIFT_LIMIT))
        with m.Else():
            m.d.sync += shift.eq(late.shift)
        distance = Pipeline(m, shift, Stage.OPERAND, "shift", has_flip_flops=True).at(Stage.PRODUCT)
        at_product = self._control.at(Stage.PRODUCT)
        total = Signal(signed(65))
        coarse, fine = (Signal(signed(66), name=name, reset_less=True) for name in ("coarse", "fine"))
        rest = Signal(3, reset_less=True)
        rounded = Signal(signed(66))
        # One bit below the point is kept for rounding.
        m.d.comb += [total.eq(product + Mux(at_product.rotate, side, 0)), rounded.eq((fine >> 1) + fine[0])]
        m.d.sync += [
            coarse.eq(Cat(Const(0, 1), total).as_signed() >> Cat(Const(0, 3), distance[3:])),
            rest.eq(distance[:3]),
            fine.eq(coarse >> rest),
            self.value.eq(saturate(rounded, 32)),
            self.key.eq(Mux(self._control.at(Stage.VALUE).cache, self.value, magnitude(self.value))),
            self.opposite.eq(-self.value),
        ]
        zero_point = Mux(late.softmax, self.h[24:], 0)
        m.d.comb += self.zero_point.eq(Pipeline(m, zero_point, Stage.LATE, "zero_point", has_flip_flops=True).at(Stage.VALUE))
        weights = Pipeline(m, weight[:16], Stage.OPERAND, "weight", has_flip_flops=True).at(Stage.PRODUCT)
        m.d.sync += self.addend.eq(Mux(at_product.norm, round_shift(side, SQUARE_SHIFT), weights))


CODE_SUM_BITS = 7 + ZERO_POINT_BITS
"""Bits of a coefficient times a zero point."""

CODER_CONTROL = data.StructLayout({"softmax": 1, "cache": 1, "wide": 1})
"""The kind of the row, and whether its cache codes have 8 bits."""


class Coder(Shared):
    """One lane; a word every cycle.

    Members:
        value, zero_point, inverse (READ): a word of the temporary memory, and what it is multiplied by.
        control (VALUE - 1): how the result is limited; every lane has registers of its own for it.
        zero (VALUE): the zero point of cache codes.
        code (CODE): 8 bits; those of a cache code have no sign.
        addend (CODE + 1): the code times the zero point.
    """

    module = "lamforge_vector_coder"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        return {
            "value": In(signed(32)),
            "zero_point": In(unsigned(ZERO_POINT_BITS)),
            "inverse": In(SCALE),
            "control": In(CODER_CONTROL),
            "zero": In(unsigned(ZERO_POINT_BITS)),
            "code": Out(signed(8)),
            "addend": Out(unsigned(CODE_SUM_BITS)),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.apply = apply = ApplyScale(0)
        control = Pipeline(m, self.control, CodeStage.VALUE - 1, "control", is_copy=True).at(CodeStage.VALUE)
        m.d.comb += [apply.x.eq(self.value), apply.mantissa.eq(self.inverse.mantissa), apply.exponent.eq(self.inverse.exponent)]
        low = Mux(control.softmax, 0, -ACT_LIMIT)
        shifted, limit = Signal(signed(34)), Signal(8)
        m.d.comb += [shifted.eq(apply.result + self.zero), limit.eq(Mux(control.wide, kv_limit(8), kv_limit(4)))]
        with m.If(control.cache):
            m.d.sync += self.code.eq(clamp(shifted, 0, limit))
        with m.Else():
            m.d.sync += self.code.eq(clamp(apply.result, low, ACT_LIMIT))
        zero_point = Pipeline(m, self.zero_point, CodeStage.READ, "zero_point", has_flip_flops=True).at(CodeStage.CODE)
        m.d.sync += self.addend.eq(self.code[:7] * zero_point)
        return m
