"""The DSP slice of UltraScale+ as an instance: a signed multiplier with operand, product and sum registers and a cascade."""

from amaranth import Cat, ClockSignal, Const, Instance, Signal
from amaranth.hdl import Value

__all__ = ["ADD_CASCADE", "ADD_NOTHING", "ADD_SUM", "A_BITS", "B_BITS", "DSP_VERILOG", "P_BITS", "dsp_instance"]

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
    registers = {
        "p_AREG": depth,
        "p_ACASCREG": depth,
        "p_BREG": depth,
        "p_BCASCREG": depth,
        "p_MREG": 1,
        "p_PREG": 1,
        "p_OPMODEREG": 1,
        "p_CREG": 0,
        "p_DREG": 0,
        "p_ADREG": 0,
        "p_ALUMODEREG": 0,
        "p_INMODEREG": 0,
        "p_CARRYINREG": 0,
        "p_CARRYINSELREG": 0,
    }
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


DSP_VERILOG = """\
// What the engine uses of a DSP48E2, for simulation alone; synthesis has the vendor's.
`ifdef VERILATOR
module DSP48E2 #(
    parameter USE_MULT = "MULTIPLY",
    parameter AREG = 1, parameter ACASCREG = 1, parameter BREG = 1, parameter BCASCREG = 1,
    parameter MREG = 1, parameter PREG = 1, parameter OPMODEREG = 1,
    parameter CREG = 0, parameter DREG = 0, parameter ADREG = 0, parameter ALUMODEREG = 0, parameter INMODEREG = 0,
    parameter CARRYINREG = 0, parameter CARRYINSELREG = 0
) (
    input wire CLK,
    input wire [29:0] A, input wire [17:0] B, input wire [47:0] C, input wire [26:0] D,
    input wire [8:0] OPMODE, input wire [3:0] ALUMODE, input wire [4:0] INMODE,
    input wire CARRYIN, input wire [2:0] CARRYINSEL,
    input wire [29:0] ACIN, input wire [17:0] BCIN, input wire CARRYCASCIN, input wire MULTSIGNIN,
    input wire CEA1, input wire CEA2, input wire CEB1, input wire CEB2, input wire CEM, input wire CEP, input wire CECTRL,
    input wire CEAD, input wire CEALUMODE, input wire CEC, input wire CECARRYIN, input wire CED, input wire CEINMODE,
    input wire RSTA, input wire RSTALLCARRYIN, input wire RSTALUMODE, input wire RSTB, input wire RSTC, input wire RSTCTRL,
    input wire RSTD, input wire RSTINMODE, input wire RSTM, input wire RSTP,
    input wire [47:0] PCIN,
    output wire [47:0] P, output wire [47:0] PCOUT
);
    reg signed [26:0] a1, a2;
    reg signed [17:0] b1, b2;
    reg signed [44:0] product;
    reg [8:0] mode;
    reg [47:0] sum;
    wire [47:0] addend = mode[6:4] == 3'b001 ? PCIN : mode[6:4] == 3'b010 ? sum : 48'd0;
    always @(posedge CLK) begin
        if (CEA1) a1 <= A[26:0];
        if (CEA2) a2 <= AREG == 2 ? a1 : A[26:0];
        if (CEB1) b1 <= B;
        if (CEB2) b2 <= BREG == 2 ? b1 : B;
        if (CEM) product <= a2 * b2;
        if (CECTRL) mode <= OPMODE;
        if (CEP) sum <= {{3{product[44]}}, product} + addend;
    end
    assign P = sum;
    assign PCOUT = sum;
endmodule
`endif
"""
"""A model of our own for Verilator, hidden from every other tool."""
