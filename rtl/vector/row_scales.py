"""The scalar phase: from the statistics of a row to the inverse its codes are made with and the scale they carry."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.numerics import (
    EXP2_ONE_BITS,
    FRACTION_BITS,
    ONE_FIFTEENTH,
    ONE_OVER_127,
    SQUARE_SHIFT,
    TIMES_15,
    TIMES_127,
    WEIGHT_FRACTION_BITS,
)
from rtl.arithmetic import SCALE, ApplyScale, Combine
from rtl.scalar_math import Normalizer, Reciprocal, SquareRoot
from rtl.vector.lane import KEY_BITS

__all__ = ["INVERSE_STEP", "LAST_STEP", "SUM_BITS", "ZERO_BITS", "ZERO_STEP", "RowScales"]

SUM_BITS = 64
ZERO_BITS = 4
_ZERO_LIMIT = (1 << ZERO_BITS) - 1
_SQUARE_FRACTION_BITS = 2 * FRACTION_BITS - SQUARE_SHIFT

# In which step (cycle after `start`) the two chains are where: the registers written in a step are seen from the next.
_NORMALIZED = 1 + Normalizer.LATENCY
_MEAN = _NORMALIZED + Combine.LATENCY + 1
_ROOT = _MEAN + SquareRoot.LATENCY
_INVERTED = _NORMALIZED + Reciprocal.LATENCY
_NORM_FACTOR = _ROOT + Reciprocal.LATENCY
INVERSE_STEP = _INVERTED + Combine.LATENCY + 1
"""`inverse` is there from this step on."""
ZERO_STEP = INVERSE_STEP + ApplyScale.LATENCY + 1
"""`zero` is there from this step on."""
LAST_STEP = max(_NORM_FACTOR + Combine.LATENCY + 1, ZERO_STEP)
"""Everything is there from this step on, until the next start."""


class RowScales(wiring.Component):
    """Computes `inverse`, `scale` and `zero` of a row from the maxima and the sum, which must stay for the start cycle.

    `norm`, `softmax`, `rope` and `cache` say which factor joins the scale and which quantizer is used; they and
    `factor` (of ROPE), `epsilon` and `one_over_n` (of NORM) must stay until LAST_STEP.
    """

    start: In(1)
    norm: In(1)
    softmax: In(1)
    rope: In(1)
    cache: In(1)
    largest: In(signed(KEY_BITS))
    opposite: In(signed(KEY_BITS))
    total: In(unsigned(SUM_BITS))
    epsilon: In(signed(32))
    one_over_n: In(SCALE)
    factor: In(SCALE)
    inverse: Out(SCALE)
    scale: Out(SCALE)
    zero: Out(ZERO_BITS)

    def elaborate(self, platform):
        m = Module()
        step = Signal(range(LAST_STEP + 1), init=LAST_STEP)
        with m.If(self.start):
            m.d.sync += step.eq(1)
        with m.Elif(step != LAST_STEP):
            m.d.sync += step.eq(step + 1)

        m.submodules.span = span = Normalizer(KEY_BITS)
        m.submodules.total_scale = total = Normalizer(SUM_BITS)
        m.submodules.invert_span = invert_span = Reciprocal()
        m.submodules.root = root = SquareRoot()
        m.submodules.invert_factor = invert_factor = Reciprocal()
        m.submodules.combine = combine = Combine()
        m.submodules.combine_mean = combine_mean = Combine()
        m.submodules.place_zero = place_zero = ApplyScale(0, x_bits=KEY_BITS)

        # What the row left, held while the next pass overwrites it.
        down = Signal(signed(KEY_BITS), reset_less=True)
        reach = Signal(KEY_BITS, reset_less=True)
        collected = Signal(SUM_BITS, reset_less=True)
        with m.If(self.start):
            m.d.sync += [
                down.eq(self.opposite),
                reach.eq(self.largest + Mux(self.cache, self.opposite, 0)),
                collected.eq(self.total + Mux(self.norm, self.epsilon, 0)),
            ]

        # The factor of the scale: reciprocal root of the mean square, or reciprocal of the sum of weights.
        mean = Signal(SCALE, reset_less=True)
        factor = Signal(SCALE)
        with m.If(step == _MEAN - 1):
            m.d.sync += mean.eq(combine_mean.result)
        m.d.comb += [
            total.x.eq(collected),
            combine_mean.a.mantissa.eq(total.mantissa),
            combine_mean.a.exponent.eq(total.exponent - _SQUARE_FRACTION_BITS),
            combine_mean.b.eq(self.one_over_n),
            root.start.eq(step == _MEAN),
            root.mantissa.eq(mean.mantissa),
            root.exponent.eq(mean.exponent),
        ]
        with m.If(self.norm):
            m.d.comb += [
                invert_factor.start.eq(step == _ROOT),
                invert_factor.mantissa.eq(root.root),
                invert_factor.exponent.eq(root.root_exponent),
            ]
        with m.Else():
            m.d.comb += [
                invert_factor.start.eq(step == _NORMALIZED),
                invert_factor.mantissa.eq(total.mantissa),
                # The sum counts units of 2**-EXP2_ONE_BITS.
                invert_factor.exponent.eq(total.exponent - EXP2_ONE_BITS),
            ]
        with m.If(self.rope):
            m.d.comb += factor.eq(self.factor)
        with m.Else():
            m.d.comb += [
                factor.mantissa.eq(invert_factor.quotient),
                factor.exponent.eq(invert_factor.quotient_exponent),
            ]

        # The quantizer: a step of the codes, its inverse, then the step with its factor.
        unit = Signal(SCALE, reset_less=True)
        fraction_bits = Mux(self.softmax, WEIGHT_FRACTION_BITS, FRACTION_BITS)
        m.d.comb += [
            span.x.eq(reach),
            invert_span.start.eq(step == _NORMALIZED),
            invert_span.mantissa.eq(span.mantissa),
            invert_span.exponent.eq(span.exponent),
        ]
        with m.If(step == _NORMALIZED):
            m.d.comb += [
                combine.a.mantissa.eq(span.mantissa),
                combine.a.exponent.eq(span.exponent),
                combine.b.mantissa.eq(Mux(self.cache, ONE_FIFTEENTH[0], ONE_OVER_127[0])),
                combine.b.exponent.eq(Mux(self.cache, ONE_FIFTEENTH[1], ONE_OVER_127[1])),
            ]
        with m.Elif(step == _INVERTED):
            m.d.comb += [
                combine.a.mantissa.eq(invert_span.quotient),
                combine.a.exponent.eq(invert_span.quotient_exponent),
                combine.b.mantissa.eq(Mux(self.cache, TIMES_15[0], TIMES_127[0])),
                combine.b.exponent.eq(Mux(self.cache, TIMES_15[1], TIMES_127[1])),
            ]
        with m.Else():
            m.d.comb += [combine.a.eq(unit), combine.b.eq(factor)]
        with m.If(step == _NORMALIZED + 1):
            m.d.sync += [
                unit.mantissa.eq(combine.result.mantissa),
                unit.exponent.eq(combine.result.exponent - fraction_bits),
            ]
        with m.If(step == _INVERTED + 1):
            m.d.sync += self.inverse.eq(combine.result)
        with m.If(step == _NORM_FACTOR + 1):
            m.d.sync += self.scale.eq(Mux(self.norm | self.softmax | self.rope, combine.result, unit))

        # The zero point of the cache codes.
        m.d.comb += [
            place_zero.x.eq(down),
            place_zero.mantissa.eq(self.inverse.mantissa),
            place_zero.exponent.eq(self.inverse.exponent),
        ]
        with m.If(step == ZERO_STEP - 1):
            m.d.sync += self.zero.eq(Mux(place_zero.result > _ZERO_LIMIT, _ZERO_LIMIT, place_zero.result))
        return m
