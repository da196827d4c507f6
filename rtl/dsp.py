"""A DSP of UltraScale+ that multiplies and adds, in both forms: the vendor's cell, and the same registers in plain logic."""

from amaranth import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.pipeline import Pipeline
from rtl.ram import VerilogPlatform

__all__ = ["ADDEND_BITS", "ADD_CASCADE", "ADD_NOTHING", "ADD_OWN", "ADD_OWN_TOO", "A_BITS", "B_BITS", "P_BITS", "Dsp"]

A_BITS = 27
"""Signed bits of the wide multiplier operand (UG579, DSP48E2: 27 x 18 multiplier)."""
B_BITS = 18
"""Signed bits of the narrow one."""
P_BITS = 48
"""Bits of the sum."""

ADD_NOTHING, ADD_CASCADE, ADD_OWN = 0b000, 0b001, 0b010
"""What multiplexer Z adds to a product: nothing, the sum of the DSP below in the column, the DSP's own sum (OPMODE bits 6-4)."""
ADD_OWN_TOO = 0b01000
"""To be combined with these: the DSP's own sum besides, by multiplexer W (OPMODE bits 8-7)."""
ADDEND_BITS = 5
_X_Y_PRODUCT = 0b0101
"""OPMODE bits 3-0: the product (UG579, OPMODE control bits)."""


class Dsp(wiring.Component):
    """p = a * b plus an addend, `depth + 2` cycles after the operands: these have `depth` (1 or 2) registers, product and p one.

    Members:
        a, b: operands.
        addend: one of ADD_..., one cycle before `enable`.
        enable: p may change at the end of this cycle.
        below: the sum of the DSP below in the column, from its `above`; zero without `has_below`.
        p: the sum. above: the same, for the next DSP of the column alone.
    """

    def __init__(self, depth: int, *, has_below: bool = False):
        assert depth in (1, 2)
        self.depth, self.has_below = depth, has_below
        super().__init__(
            {
                "a": In(signed(A_BITS)),
                "b": In(signed(B_BITS)),
                "addend": In(ADDEND_BITS),
                "enable": In(1),
                "below": In(signed(P_BITS)),
                "p": Out(signed(P_BITS)),
                "above": Out(signed(P_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, VerilogPlatform):
            m.submodules.cell = self._cell()
        else:
            self._plain(m)
        return m

    def _cell(self) -> Instance:
        first = self.depth == 2
        registers = {f"p_{name}REG": self.depth for name in ("A", "ACASC", "B", "BCASC")}
        registers |= {f"p_{name}REG": 1 for name in ("M", "P", "OPMODE")}
        registers |= {f"p_{name}REG": 0 for name in ("C", "D", "AD", "ALUMODE", "INMODE", "CARRYIN", "CARRYINSEL")}
        enables = (
            {f"i_CE{name}": 1 for name in ("A2", "B2", "M", "CTRL")} | {"i_CEP": self.enable} | {"i_CEA1": first, "i_CEB1": first}
        )
        enables |= {f"i_CE{name}": 0 for name in ("AD", "ALUMODE", "C", "CARRYIN", "D", "INMODE")}
        resets = {f"i_RST{name}": 0 for name in ("A", "ALLCARRYIN", "ALUMODE", "B", "C", "CTRL", "D", "INMODE", "M", "P")}
        widths = {"ALUMODE": 4, "CARRYIN": 1, "CARRYINSEL": 3, "INMODE": 5, "D": A_BITS, "ACIN": 30, "BCIN": B_BITS}
        widths |= {"CARRYCASCIN": 1, "MULTSIGNIN": 1, "C": P_BITS}
        return Instance(
            "DSP48E2",
            p_USE_MULT="MULTIPLY",
            **registers,
            **enables,
            **resets,
            **{f"i_{name}": Const(0, bits) for name, bits in widths.items()},
            i_CLK=ClockSignal(),
            i_A=_extended(self.a, 30),
            i_B=self.b,
            i_OPMODE=Cat(Const(_X_Y_PRODUCT, 4), self.addend),
            i_PCIN=self.below if self.has_below else Const(0, P_BITS),
            o_P=self.p,
            o_PCOUT=self.above,
        )

    def _plain(self, m: Module) -> None:
        """Make the registers of the cell, as Amaranth's simulator and other families need them."""
        product = Signal(signed(P_BITS), reset_less=True)
        kept = Signal(signed(P_BITS), reset_less=True)
        addend = Pipeline(m, self.addend, 0, "mode").at(1)
        a, b = (Pipeline(m, value, 0, name).at(self.depth) for name, value in (("a_operand", self.a), ("b_operand", self.b)))
        m.d.sync += product.eq(a * b)
        below = self.below if self.has_below else 0
        chosen = Mux(addend[:3] == ADD_OWN, kept, Mux(addend[:3] == ADD_CASCADE, below, 0))
        with m.If(self.enable):
            m.d.sync += kept.eq(product + chosen + Mux(addend[3:] == ADD_OWN_TOO >> 3, kept, 0))
        m.d.comb += [self.p.eq(kept), self.above.eq(kept)]


def _extended(value: Value, bits: int) -> Value:
    return Cat(value, value[-1].replicate(bits - len(value)))
