"""The datapath of one lane in the second pass: a value times the row's inverse becomes a code."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.numerics import ACT_LIMIT, kv_limit
from rtl.arithmetic import SCALE, ApplyScale
from rtl.instance import Shared
from rtl.pipeline import Pipeline
from rtl.vector.lane import ZERO_POINT_BITS
from rtl.vector.stages import CodeStage

__all__ = ["CODER_CONTROL", "CODE_SUM_BITS", "Coder"]

CODE_SUM_BITS = 7 + ZERO_POINT_BITS
"""Bits of a coefficient times a zero point."""

CODER_CONTROL = data.StructLayout({"softmax": 1, "cache": 1, "wide": 1, "zero": ZERO_POINT_BITS})
"""The kind of the row, whether its cache codes have 8 bits, and their zero point."""


class Coder(Shared):
    """One lane; a word every cycle.

    Members:
        value, zero_point, inverse (READ): a word of the temporary memory, and what it is multiplied by.
        control (VALUE): how the result is limited.
        code (CODE): 8 bits; those of a cache code have no sign.
        addend (CODE + 1): the code times the zero point.
    """

    module = "lamforge_vector_coder"

    @staticmethod
    def ports(config: EngineConfig) -> dict:
        """Return the members of the signature; every lane of every engine has the same."""
        return {
            "value": In(signed(32)),
            "zero_point": In(unsigned(ZERO_POINT_BITS)),
            "inverse": In(SCALE),
            "control": In(CODER_CONTROL),
            "code": Out(signed(8)),
            "addend": Out(unsigned(CODE_SUM_BITS)),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.apply = apply = ApplyScale(0)
        control = self.control
        m.d.comb += [apply.x.eq(self.value), apply.mantissa.eq(self.inverse.mantissa), apply.exponent.eq(self.inverse.exponent)]
        low = Mux(control.softmax, 0, -ACT_LIMIT)
        shifted, limit = Signal(signed(34)), Signal(8)
        m.d.comb += [shifted.eq(apply.result + control.zero), limit.eq(Mux(control.wide, kv_limit(8), kv_limit(4)))]
        with m.If(control.cache):
            m.d.sync += self.code.eq(Mux(shifted < 0, 0, Mux(shifted > limit, limit, shifted)))
        with m.Else():
            m.d.sync += self.code.eq(Mux(apply.result < low, low, Mux(apply.result > ACT_LIMIT, ACT_LIMIT, apply.result)))
        zero_point = Pipeline(m, self.zero_point, CodeStage.READ, "zero_point").at(CodeStage.CODE)
        m.d.sync += self.addend.eq(self.code[:7] * zero_point)
        return m
