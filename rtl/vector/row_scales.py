"""The scalars of a row: from its statistics to the inverse its codes are made with and the scale they carry."""

from amaranth import Array, Module, Mux, Signal, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.numerics import (
    EXP2_ONE_BITS,
    FRACTION_BITS,
    ONE_OVER_127,
    SQUARE_SHIFT,
    TIMES_127,
    WEIGHT_FRACTION_BITS,
    kv_factors,
    kv_limit,
)
from hwsim.arch.timing import VECTOR_ROWS
from rtl.arithmetic import SCALE, ApplyScale, Combine, Normalizer, Reciprocal, SquareRoot
from rtl.interfaces import assign
from rtl.pipeline import Pipeline
from rtl.vector.lane import KEY_BITS
from rtl.vector.stages import RowStage

__all__ = ["MEASURED_ROW", "SUM_BITS", "ZERO_BITS", "RowScales"]

SUM_BITS = 64
ZERO_BITS = 8
_SQUARE_FRACTION_BITS = 2 * FRACTION_BITS - SQUARE_SHIFT

Factor = tuple[int, int]

MEASURED_ROW = data.StructLayout(
    {"valid": 1, "number": range(VECTOR_ROWS), "norm": 1, "softmax": 1, "rope": 1, "cache": 1, "wide": 1}
)
"""A row whose statistics stand: its number, and which factor joins its scale and which quantizer it has."""


class RowScales(wiring.Component):
    """Computes inverse, zero and scale of a row a cycle, and keeps those of the last VECTOR_ROWS rows by number.

    Members:
        row, largest, opposite, total (RowStage.start): the row and its statistics.
        epsilon, one_over_n, factor (RowStage.start): the constants of NORM, the factor of ROPE.
        inverse_number, inverse; zero_number, zero; scale_number, scale: three read ports, combinational.
    """

    def __init__(self, lanes: int):
        self.stages = RowStage(lanes)
        number = range(VECTOR_ROWS)
        super().__init__(
            {
                "row": In(MEASURED_ROW),
                "largest": In(signed(KEY_BITS)),
                "opposite": In(signed(KEY_BITS)),
                "total": In(unsigned(SUM_BITS)),
                "epsilon": In(signed(32)),
                "one_over_n": In(SCALE),
                "factor": In(SCALE),
                "inverse_number": In(number),
                "inverse": Out(SCALE),
                "zero_number": In(number),
                "zero": Out(ZERO_BITS),
                "scale_number": In(number),
                "scale": Out(SCALE),
            }
        )

    def elaborate(self, platform):
        m = Module()
        stages = self.stages
        self._row = Pipeline(m, self.row, stages.start, "row", is_cleared=True)
        row = self._row.at(stages.start)
        down = Signal(signed(KEY_BITS), reset_less=True)
        m.submodules.span = span = Normalizer(KEY_BITS)
        m.submodules.total_scale = total = Normalizer(SUM_BITS)
        reach, collected = Signal(KEY_BITS, reset_less=True), Signal(SUM_BITS, reset_less=True)
        m.d.sync += [
            down.eq(self.opposite),
            reach.eq(self.largest + Mux(row.cache, self.opposite, 0)),
            collected.eq(self.total + Mux(row.norm, self.epsilon, 0)),
        ]
        m.d.comb += [span.x.eq(reach), total.x.eq(collected)]
        inverse = self._invert(m, span)
        self._place_zero(m, inverse, Pipeline(m, down, stages.collected, "down"))
        self._scale(m, span, self._factor(m, total))
        return m

    def _kept(self, m: Module, name: str, value: Value, stage: int) -> None:
        """Keep `value`, written at the end of the cycle before `stage`, by the number of the row; drive its read port."""
        entries = Array(Signal.like(value, name=f"{name}_{place}", reset_less=True) for place in range(VECTOR_ROWS))
        row = self._row.at(stage - 1)
        with m.If(row.valid):
            m.d.sync += entries[row.number].eq(value)
        m.d.comb += getattr(self, name).eq(entries[getattr(self, f"{name}_number")])

    def _choose(self, m: Module, factor: data.View, stage: int, plain: Factor, cached: list[Factor]) -> None:
        """Drive the factor of the quantizer that the row at a stage has: of activations, of 4-bit, of 8-bit cache codes."""
        row = self._row.at(stage)
        for part, name in enumerate(("mantissa", "exponent")):
            narrow, wide = (scale[part] for scale in cached)
            m.d.comb += getattr(factor, name).eq(Mux(row.wide, wide, Mux(row.cache, narrow, plain[part])))

    def _invert(self, m: Module, span: Normalizer) -> Signal:
        """Keep the inverse of the quantizer; return it as computed."""
        stages = self.stages
        m.submodules.invert_span = invert = Reciprocal()
        m.submodules.combine_inverse = combine = Combine()
        m.d.comb += [
            *assign(invert, span, "mantissa", "exponent"),
            combine.a.mantissa.eq(invert.quotient),
            combine.a.exponent.eq(invert.quotient_exponent),
        ]
        self._choose(m, combine.b, stages.inverted, TIMES_127, [kv_factors(bits)[0] for bits in (4, 8)])
        self._kept(m, "inverse", combine.result, stages.inverse)
        held = Signal(SCALE, name="inverse_held", reset_less=True)
        m.d.sync += held.eq(combine.result)
        return held

    def _place_zero(self, m: Module, inverse: Signal, down: Pipeline) -> None:
        """Keep the zero point of the cache codes."""
        stages = self.stages
        m.submodules.place_zero = place = ApplyScale(0, x_bits=KEY_BITS)
        m.d.comb += [place.x.eq(down.at(stages.inverse)), *assign(place, inverse, "mantissa", "exponent")]
        limit, limited = Signal(ZERO_BITS), Signal(ZERO_BITS)
        m.d.comb += [
            limit.eq(Mux(self._row.at(stages.zero - 1).wide, kv_limit(8), kv_limit(4))),
            limited.eq(Mux(place.result > limit, limit, place.result)),
        ]
        self._kept(m, "zero", limited, stages.zero)

    def _factor(self, m: Module, total: Normalizer) -> Signal:
        """Return the factor of the scale, at RowStage.factor: reciprocal root of the mean square, or reciprocal of the sum."""
        stages = self.stages
        m.submodules.combine_mean = combine = Combine()
        m.submodules.root = root = SquareRoot()
        m.submodules.invert_factor = invert = Reciprocal()
        mean = Signal(SCALE, name="mean", reset_less=True)
        one_over_n = Pipeline(m, self.one_over_n, stages.start, "one_over_n").at(stages.normalized)
        weights = Signal(SCALE, name="weights")
        m.d.comb += [
            combine.a.mantissa.eq(total.mantissa),
            combine.a.exponent.eq(total.exponent - _SQUARE_FRACTION_BITS),
            combine.b.eq(one_over_n),
            *assign(root, mean, "mantissa", "exponent"),
            weights.mantissa.eq(total.mantissa),
            # The sum counts units of 2**-EXP2_ONE_BITS.
            weights.exponent.eq(total.exponent - EXP2_ONE_BITS),
        ]
        m.d.sync += mean.eq(combine.result)
        late = Pipeline(m, weights, stages.normalized, "weights").at(stages.root)
        with m.If(self._row.at(stages.root).norm):
            m.d.comb += [invert.mantissa.eq(root.root), invert.exponent.eq(root.root_exponent)]
        with m.Else():
            m.d.comb += assign(invert, late, "mantissa", "exponent")
        factor = Signal(SCALE, name="chosen_factor")
        asked = Pipeline(m, self.factor, stages.start, "factor").at(stages.factor)
        row = self._row.at(stages.factor)
        with m.If(row.rope):
            m.d.comb += factor.eq(asked)
        with m.Else():
            m.d.comb += [factor.mantissa.eq(invert.quotient), factor.exponent.eq(invert.quotient_exponent)]
        return factor

    def _scale(self, m: Module, span: Normalizer, factor: Signal) -> None:
        """Keep the scale of the codes: a step of the quantizer, with its factor where there is one."""
        stages = self.stages
        m.submodules.combine_unit = combine_unit = Combine()
        m.submodules.combine_scale = combine = Combine()
        m.d.comb += assign(combine_unit.a, span, "mantissa", "exponent")
        self._choose(m, combine_unit.b, stages.normalized, ONE_OVER_127, [kv_factors(bits)[1] for bits in (4, 8)])
        softmax = self._row.at(stages.normalized + 1).softmax
        unit = Signal(SCALE, name="unit")
        m.d.comb += [
            unit.mantissa.eq(combine_unit.result.mantissa),
            unit.exponent.eq(combine_unit.result.exponent - Mux(softmax, WEIGHT_FRACTION_BITS, FRACTION_BITS)),
        ]
        units = Pipeline(m, unit, stages.normalized + 1, "unit")
        m.d.comb += [combine.a.eq(units.at(stages.factor)), combine.b.eq(factor)]
        last = self._row.at(stages.factor + 1)
        scale = Signal(SCALE, name="scale_result")
        m.d.comb += scale.eq(
            Mux(last.norm | last.softmax | last.rope, combine.result.as_value(), units.at(stages.factor + 1).as_value())
        )
        self._kept(m, "scale", scale, stages.scale)
