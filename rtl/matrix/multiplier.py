"""The packed multiplier: two DSPs of UltraScale+ in a column, which add their pairs of products up, or accumulate one pair each."""

from amaranth import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import flags
from rtl.matrix.records import DEEP_FIELD_BITS, DIGIT_BITS, FIELD_BITS, spread
from rtl.pipeline import Pipeline
from rtl.ram import VerilogPlatform

__all__ = ["ADD_CASCADE", "ADD_NOTHING", "ADD_SUM", "A_BITS", "B_BITS", "FACTOR", "P_BITS", "PackedMultipliers", "dsp_instance"]

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
    return Cat(value, value[-1].replicate(bits - len(value)))


FACTOR = signed(8)
"""The other operand: a code of a weight, or a coefficient."""
_NIBBLE_PLACE = DEEP_FIELD_BITS - FIELD_BITS + 8
"""Place of the upper nibble in a digit of two."""


class PackedMultipliers(wiring.Component):
    """Two multiplications in one column of DSPs, with operands and control at stage 0.

    DOT: a digit is a pair of activations (`pair_digit`), whose products with one code lie FIELD_BITS apart; `second`
    becomes the sum of both packed products, read by `unpack`. Sums of up to 32 products keep the fields apart.

    AXPY (`accumulate`): a digit is a pair of nibbles (`nibble_digit`), whose products with one coefficient lie
    DEEP_FIELD_BITS apart; each DSP adds its packed products up from `start` on, read by `deep_halves`.

    Members:
        digits, factors: operands of the first and the second DSP.
        compute: nothing changes without it.
        first, first_upper: the first DSP's sum and the lowest bits of its upper half, FIRST cycles later.
        second, second_upper: the second one's, SECOND cycles later.
    """

    FIRST = 3
    SECOND = 4

    def __init__(self, upper_bits: int):
        self.upper_bits = upper_bits
        super().__init__(
            {
                "first_digit": In(DIGIT_BITS),
                "first_factor": In(FACTOR),
                "second_digit": In(DIGIT_BITS),
                "second_factor": In(FACTOR),
                **flags(In, "compute", "accumulate", "start"),
                "first": Out(signed(P_BITS)),
                "second": Out(signed(P_BITS)),
                "first_upper": Out(upper_bits),
                "second_upper": Out(upper_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place = self._instance if isinstance(platform, VerilogPlatform) else self._plain
        first = place(m, self.first_digit, self.first_factor, self.first, 1, None)
        place(m, self.second_digit, self.second_factor, self.second, 2, first)
        self._upper(m, self.first_digit, self.first_factor, self.first_upper, self.FIRST)
        self._upper(m, self.second_digit, self.second_factor, self.second_upper, self.SECOND)
        return m

    def _instance(self, m: Module, digit: Value, factor: Value, total: Signal, depth: int, below: Value | None) -> Signal:
        """Add a DSP; the second one has an operand register more, so that its product meets the first one's sum."""
        cascade = Signal(P_BITS, name=f"cascade_{depth}")
        m.submodules[f"dsp_{depth}"] = dsp_instance(
            a=spread(digit),
            b=factor,
            p=total,
            pcout=cascade,
            pcin=below,
            depth=depth,
            addend=self._addend(m, depth, below is not None),
            enable=Pipeline(m, self.compute, 0, f"enable_{depth}").at(depth + 1),
        )
        return cascade

    def _plain(self, m: Module, digit: Value, factor: Value, total: Signal, depth: int, below: Value | None) -> Signal:
        """Add the same registers in plain form, as Amaranth's simulator and other families need them."""
        product = Signal(signed(P_BITS), name=f"product_{depth}", reset_less=True)
        addend = Pipeline(m, self._addend(m, depth, below is not None), 0, f"mode_{depth}").at(1)
        digit = Pipeline(m, digit, 0, f"digit_{depth}").at(depth)
        factor = Pipeline(m, factor, 0, f"factor_{depth}").at(depth)
        m.d.sync += product.eq(spread(digit) * factor)
        kept = Signal(signed(P_BITS), name=f"kept_{depth}", reset_less=True)
        m.d.comb += total.eq(kept)
        with m.If(Pipeline(m, self.compute, 0, f"enable_{depth}").at(depth + 1)):
            added = Mux(addend == ADD_SUM, kept, Mux(addend == ADD_CASCADE, below, 0) if below is not None else 0)
            m.d.sync += kept.eq(product + added)
        return total

    def _addend(self, m: Module, depth: int, has_below: bool) -> Signal:
        """Return what the DSP of an operand depth adds to its product, one cycle before its sum register is enabled."""
        chosen = Signal(3, name=f"addend_{depth}")
        alone = ADD_CASCADE if has_below else ADD_NOTHING
        m.d.comb += chosen.eq(Mux(self.accumulate, Mux(self.start, ADD_NOTHING, ADD_SUM), alone))
        return Pipeline(m, chosen, 0, f"addend_{depth}").at(depth)

    def _upper(self, m: Module, digit: Value, factor: Value, total: Signal, latency: int) -> None:
        """Sum the lowest bits of the upper products apart, in step with a DSP's sum."""
        bits = self.upper_bits
        nibble = digit[_NIBBLE_PLACE : _NIBBLE_PLACE + min(bits, 4)]
        product = Pipeline(m, (nibble * factor[:bits].as_unsigned())[:bits], 0, f"upper_{latency}").at(latency - 1)
        start = Pipeline(m, self.start, 0, f"upper_start_{latency}").at(latency - 1)
        kept = Signal(bits, name=f"upper_sum_{latency}", reset_less=True)
        m.d.comb += total.eq(kept)
        with m.If(Pipeline(m, self.compute, 0, f"upper_enable_{latency}").at(latency - 1)):
            m.d.sync += kept.eq(Mux(start, 0, kept) + product)
