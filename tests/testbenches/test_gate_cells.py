"""The models of cells are those of Yosys where it has one, and memories of every shape are themselves once they are mapped."""

import re

import pytest

from hwsim.errors import MachineError
from rtl.synthesis.netlists import yosys_cells
from rtl.synthesis.yosys import Module, modules_of
from testbenches.gate_streams import random_stimuli
from testbenches.gates import GateBench

LOGIC = """\
module cells(i, ci, di, s, clk, luts, sums, carries);
  input [5:0] i;
  input [2:0] ci;
  input [7:0] di;
  input [7:0] s;
  input clk;
  output [7:0] luts;
  output [19:0] sums;
  output [19:0] carries;
  {0}LUT1 #(.INIT(2'h1)) a (.O(luts[0]), .I0(i[0]));
  {0}LUT2 #(.INIT(4'hb)) b (.O(luts[1]), .I0(i[0]), .I1(i[1]));
  {0}LUT3 #(.INIT(8'h2e)) c (.O(luts[2]), .I0(i[0]), .I1(i[1]), .I2(i[2]));
  {0}LUT4 #(.INIT(16'h9a3c)) d (.O(luts[3]), .I0(i[0]), .I1(i[1]), .I2(i[2]), .I3(i[3]));
  {0}LUT5 #(.INIT(32'h12fe8a75)) e (.O(luts[4]), .I0(i[0]), .I1(i[1]), .I2(i[2]), .I3(i[3]), .I4(i[4]));
  {0}LUT6 #(.INIT(64'h0f1e2d3c4b5a6978)) f (.O(luts[5]), .I0(i[0]), .I1(i[1]), .I2(i[2]), .I3(i[3]), .I4(i[4]), .I5(i[5]));
  {0}LUT6_2 #(.INIT(64'hfedcba9871625344)) g (
    .O6(luts[6]), .O5(luts[7]), .I0(i[0]), .I1(i[1]), .I2(i[2]), .I3(i[3]), .I4(i[4]), .I5(i[5]));
  {0}CARRY4 h (.CO(carries[3:0]), .O(sums[3:0]), .CI(ci[0]), .CYINIT(1'b0), .DI(di[3:0]), .S(s[3:0]));
  {0}CARRY8 j (.CO(carries[11:4]), .O(sums[11:4]), .CI(ci[0]), .CI_TOP(ci[1]), .DI(di), .S(s));
  {0}CARRY8 #(.CARRY_TYPE("DUAL_CY4")) k (.CO(carries[19:12]), .O(sums[19:12]), .CI(ci[0]), .CI_TOP(ci[1]), .DI(di), .S(s));
endmodule
"""

# A DSP48E1 has the same registers, multiplexers and sums, but for W; its operands are two bits narrower, and so are these.
DSP = """\
module dsps(a, b, c, d, pcin, acin, bcin, x, z, alumode, inmode, carryin, select, ce, rst, clk, p, pcout, acout, bcout);
  input [23:0] a;
  input [17:0] b;
  input [47:0] c;
  input [23:0] d;
  input [47:0] pcin;
  input [23:0] acin;
  input [17:0] bcin;
  input [2:0] x;
  input [2:0] z;
  input [1:0] alumode;
  input [4:0] inmode;
  input carryin;
  input [2:0] select;
  input [12:0] ce;
  input [9:0] rst;
  input clk;
  output [191:0] p;
  output [191:0] pcout;
  output [119:0] acout;
  output [71:0] bcout;
  wire [31:0] lows = 32'h0_b_8_f_3_c_5_0;
  wire [3:0] low = lows[4*x +: 4];
  wire [3:0] low_p = x == 7 ? 4'b1110 : low;
  wire [2:0] high_p = z == 7 || z == 4 ? 3'b010 : z;
  wire [2:0] high = high_p == 3'b010 || high_p == 3'b110 ? 3'b101 : high_p;
  wire [2:0] select_p = select[0] ? select : 3'b000;
  wire [2:0] select_in = select[2] ? 3'b011 : select_p;
{instances}
endmodule
"""
COMBINATORIAL = dict.fromkeys(
    ("AREG", "ACASCREG", "BREG", "BCASCREG", "CREG", "DREG", "ADREG", "MREG", "PREG", "OPMODEREG", "ALUMODEREG", "INMODEREG"), 0
) | {"CARRYINREG": 0, "CARRYINSELREG": 0}
REGISTERED = dict.fromkeys(COMBINATORIAL, 1)
SETTINGS = (
    COMBINATORIAL,
    REGISTERED,
    REGISTERED | {"AREG": 2, "BREG": 2, "BCASCREG": 2, "has_d": 1},
    REGISTERED | {"AREG": 2, "ACASCREG": 2, "MREG": 0, "ADREG": 0, "CREG": 0, "is_fed": 1, "has_d": 1},
)

IDLE = ".ALUMODE(4'b0), .INMODE(5'b0), .CARRYIN(1'b0), .CARRYINSEL(3'b0), .D(27'b0), .PCIN(48'b0)"
"""Pins of a DSP that a bench does not use."""


def dsps(kind: str, settings: tuple[dict[str, int], ...] = SETTINGS) -> str:
    """Return the module `dsps` with a DSP of a kind for each of some settings."""
    texts = []
    for number, values in enumerate(settings):
        is_fed, has_d = values.get("is_fed", 0), values.get("has_d", 0)
        parameters = [f".{name}({value})" for name, value in values.items() if name.endswith("REG")]
        parameters += [f'.{side}_INPUT("{"CASCADE" if is_fed else "DIRECT"}")' for side in "AB"]
        if kind == "DSP48E1":
            parameters.append(f'.USE_DPORT("{"TRUE" if has_d else "FALSE"}")')
        else:
            parameters.append(f'.AMULTSEL("{"AD" if has_d else "A"}")')
        d, wide = ("{{1{d[23]}}, d}", "") if kind == "DSP48E1" else ("{{3{d[23]}}, d}", "2'b00, ")
        suffix = "_p" if values["PREG"] else ""
        select = "select_p" if values["PREG"] else "select_in"
        enables = ["A1", "A2", "B1", "B2", "C", "D", "AD", "M", "P", "CTRL", "ALUMODE", "INMODE", "CARRYIN"]
        resets = ["A", "B", "C", "D", "M", "P", "CTRL", "ALUMODE", "INMODE", "ALLCARRYIN"]
        pins = [f".CE{name}(ce[{bit}])" for bit, name in enumerate(enables)]
        pins += [f".RST{name}(rst[{bit}])" for bit, name in enumerate(resets)]
        pins += [".CLK(clk)", ".A({{6{a[23]}}, a})", ".B(b)", ".C(c)", f".D({d})", ".PCIN(pcin)", ".ACIN({{6{acin[23]}}, acin})"]
        pins += [".BCIN(bcin)", ".CARRYCASCIN(1'b0)", ".MULTSIGNIN(1'b0)", ".ALUMODE({2'b00, alumode})", ".INMODE(inmode)"]
        pins += [f".OPMODE({{{wide}high{suffix}, low{suffix}}})", ".CARRYIN(carryin)", f".CARRYINSEL({select})"]
        pins += [f".P(p[{48 * number} +: 48])", f".PCOUT(pcout[{48 * number} +: 48])"]
        pins += [f".ACOUT(acout[{30 * number} +: 30])", f".BCOUT(bcout[{18 * number} +: 18])"]
        texts.append(f"  {kind} #({', '.join(parameters)}) dsp_{number} (\n    " + ",\n    ".join(pins) + "\n  );")
    return DSP.replace("{instances}", "\n".join(texts))


def module(text: str, *others: str) -> dict[str, Module]:
    """Return a module, with others that it needs behind it, as a bench takes it."""
    (found,) = modules_of([text]).values()
    return {found.name: Module(name=found.name, text=found.text + "".join(others), children=())}


def test_logic_is_that_of_yosys() -> None:
    library = yosys_cells()
    kinds = sorted({*re.findall(r"\{0\}(\w+)", LOGIC)})
    theirs = [re.search(rf"^module {kind}\b.*?^endmodule", library, re.S | re.M) for kind in kinds]
    texts = [
        found.group().replace(f"module {kind}", f"module yosys_{kind}", 1)
        for kind, found in zip(kinds, theirs, strict=True)
        if found
    ]
    assert len(texts) == len(kinds) == 9
    own = LOGIC.replace("{0}", "")
    netlists = {"own": own, "wrong": own.replace("64'h0f1e", "64'h0f1f"), "joined": own.replace("DUAL_CY4", "SINGLE_CY8")}
    bench = GateBench(module(LOGIC.replace("{0}", "yosys_"), *(f"\n{text}\n" for text in texts)), "cells", netlists)
    verdicts = bench.run(random_stimuli(bench.inputs, 4000, seed=1))
    assert {name: verdict.first is None for name, verdict in verdicts.items()} == {"own": True, "wrong": False, "joined": False}


def test_a_dsp_is_the_one_that_yosys_knows() -> None:
    """Every register, reset, enable, multiplexer and sum; a register more and another input are seen."""
    own = dsps("DSP48E2")
    slower = dsps("DSP48E2", (*SETTINGS[:3], SETTINGS[3] | {"MREG": 1}))
    netlists = {"own": own, "slower": slower, "other": own.replace("2'b00, high_p", "2'b11, high_p", 1)}
    bench = GateBench(module(dsps("DSP48E1")), "dsps", netlists)
    fields = {"rst": (1,) * 10, "ce": (1,) * 13, "inmode": (1,) * 5}
    stimuli = random_stimuli(bench.inputs, 12_000, seed=2, fields=fields)
    verdicts = bench.run(stimuli)
    assert verdicts["own"].first is None
    assert (verdicts["slower"].different > 100, verdicts["other"].different > 100) == (True, True)


def test_the_fourth_operand_of_a_dsp() -> None:
    """W is zero, P, the constant or C."""
    text = """\
module sums(a, b, c, w, clk, p);
  input [26:0] a;
  input [17:0] b;
  input [47:0] c;
  input [1:0] w;
  input clk;
  output [47:0] p;
  wire signed [44:0] product = $signed(a) * $signed(b);
  reg [47:0] total;
  initial total = 0;
  wire [47:0] w_chosen = w == 0 ? 0 : w == 1 ? total : w == 2 ? 48'h123456789abc : c;
  always @(posedge clk) total <= {{3{product[44]}}, product} + w_chosen + c;
  assign p = total;
endmodule
"""
    registers = ", ".join(f".{name}({value})" for name, value in (COMBINATORIAL | {"PREG": 1}).items())
    netlist = (
        text[: text.index("  wire signed")]
        + f"  DSP48E2 #({registers}, .RND(48'h123456789abc)) dsp (.CLK(clk), .A({{{{3{{a[26]}}}}, a}}), .B(b), .CEP(1'b1),\n"
        + f"    .OPMODE({{w, 3'b011, 4'b0101}}), {IDLE}, .RSTP(1'b0), .C(c), .P(p));\nendmodule\n"
    )
    netlists = {"own": netlist, "less": netlist.replace("{w, 3'b011", "{w, 3'b000")}
    bench = GateBench(module(text), "sums", netlists)
    verdicts = bench.run(random_stimuli(bench.inputs, 4000, seed=3))
    assert (verdicts["own"].first, verdicts["less"].different > 1000) == (None, True)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (0b00_000_0001, "OPMODE must have 01 in both bits"),
        (0b00_111_0000, "OPMODE bits 6-4 must not be 111"),
        (0b00_100_0000, "OPMODE bits 3-0 must be 1000"),
        (0b00_010_0000, "PREG must be 1"),
    ],
)
def test_what_a_dsp_must_not_be_asked_for_stops_the_bench(mode: int, sentence: str) -> None:
    registers = ", ".join(f".{name}({value})" for name, value in COMBINATORIAL.items())
    text = "module idle(mode, clk, p);\n  input [8:0] mode;\n  input clk;\n  output [47:0] p;\n  assign p = 48'b0;\nendmodule\n"
    netlist = text.replace(
        "assign p = 48'b0;",
        f"DSP48E2 #({registers}) dsp (.CLK(clk), .A(30'b0), .B(18'b0), .C(48'b0), .OPMODE(mode), {IDLE}, .P(p));",
    )
    bench = GateBench(module(text), "idle", {"own": netlist})
    assert bench.run([0b00_000_0101, 0b00_011_1100])["own"].first is None
    with pytest.raises(MachineError, match=sentence):
        bench.run([mode, 0])
