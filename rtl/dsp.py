"""The DSP slice of UltraScale+ as an instance: a signed multiplier with operand, product and sum registers and a cascade."""

from amaranth import Cat, ClockSignal, Const, Instance, Signal
from amaranth.hdl import Value

__all__ = ["ADD_CASCADE", "ADD_NOTHING", "ADD_SUM", "A_BITS", "B_BITS", "P_BITS", "dsp_instance"]

A_BITS = 27
"""Signed bits of the wide multiplier operand (UG579, DSP48E2: 27 x 18 multiplier)."""
B_BITS = 18
"""Signed bits of the narrow one."""
P_BITS = 48
"""Bits of the sum."""

ADD_NOTHING, ADD_CASCADE, ADD_SUM = 0b000, 0b001, 0b010
"""What is added to a product: nothing, the sum of the DSP below in the column, the DSP's own sum (OPMODE bits 6-4)."""
_X_Y_PRODUCT = 0b0101
"""OPMODE bits 3-0: the product (UG579, OPMODE control bits)."""


def dsp_instance(
    *, a: Value, b: Value, p: Signal, pcout: Signal, pcin: Value | None, depth: int, addend: Value, enable: Value
) -> Instance:
    """Return a DSP48E2 with p = a * b plus an addend, `depth + 2` cycles after its operands.

    There are `depth` operand registers, one for the product, one for the sum; p also leaves on `pcout`, for the `pcin` of
    the next DSP of the column. `addend` is one of ADD_..., one cycle before `enable`, which lets the sum register change.
    """
    assert depth in (1, 2)
    first = depth == 2
    registers = {f"p_{name}REG": depth for name in ("A", "ACASC", "B", "BCASC")}
    registers |= {f"p_{name}REG": 1 for name in ("M", "P", "OPMODE")}
    registers |= {f"p_{name}REG": 0 for name in ("C", "D", "AD", "ALUMODE", "INMODE", "CARRYIN", "CARRYINSEL")}
    enables = {f"i_CE{name}": 1 for name in ("A2", "B2", "M", "CTRL")} | {"i_CEP": enable} | {"i_CEA1": first, "i_CEB1": first}
    enables |= {f"i_CE{name}": 0 for name in ("AD", "ALUMODE", "C", "CARRYIN", "D", "INMODE")}
    resets = {f"i_RST{name}": 0 for name in ("A", "ALLCARRYIN", "ALUMODE", "B", "C", "CTRL", "D", "INMODE", "M", "P")}
    widths = {"ALUMODE": 4, "CARRYIN": 1, "CARRYINSEL": 3, "INMODE": 5, "D": A_BITS, "ACIN": 30, "BCIN": B_BITS}
    widths |= {"CARRYCASCIN": 1, "MULTSIGNIN": 1, "C": P_BITS}
    unused = {f"i_{name}": Const(0, bits) for name, bits in widths.items()}
    return Instance(
        "DSP48E2",
        p_USE_MULT="MULTIPLY",
        **registers,
        **enables,
        **resets,
        **unused,
        i_CLK=ClockSignal(),
        i_A=_extended(a, 30),
        i_B=_extended(b, B_BITS),
        i_OPMODE=Cat(Const(_X_Y_PRODUCT, 4), addend[:3], Const(0, 2)),
        i_PCIN=Const(0, P_BITS) if pcin is None else pcin,
        o_P=p,
        o_PCOUT=pcout,
    )


def _extended(value: Value, bits: int) -> Value:
    """Return a signed value in `bits` bits."""
    return Cat(value, value[-1].replicate(bits - len(value)))
