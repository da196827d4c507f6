"""Estimates add up, equal modules are synthesized once, kept counts are the counts, and more multipliers show."""

import pytest

from hwsim.errors import MachineError
from rtl.synthesis import fmax, yosys
from rtl.synthesis.estimate import count_parts, made_of, resources_of
from rtl.synthesis.yosys import cells_of, modules_of, run_yosys

CHILD = (
    "module \\{name} (clk, \\a$1 , b, p);\n  input clk;\n  input [15:0] \\a$1 ;\n  input [15:0] b;\n"
    "  output [31:0] p;\n{body}endmodule\n"
)
PRODUCT = "  reg [31:0] p;\n  always @(posedge clk) p <= \\a$1 * b;\n"
TOP = """module engine(clk, a, b, p, q);
  input clk;
  input [15:0] a;
  input [15:0] b;
  output [31:0] p;
  output [31:0] q;
  \\engine.matrix  matrix (.clk(clk), .\\a$1 (a), .b(b), .p(p));
  \\engine.vector  vector (.clk(clk), .\\a$1 (b), .b(a), .p(q));
endmodule
"""


def texts(*, second: str = PRODUCT) -> list[str]:
    children = [CHILD.format(name="engine.matrix", body=PRODUCT), CHILD.format(name="engine.vector", body=second)]
    return [TOP, "".join(children)]


def test_modules_and_what_they_instantiate() -> None:
    modules = modules_of(texts())
    assert set(modules) == {"engine", "\\engine.matrix", "\\engine.vector"}
    assert modules["engine"].children == (("\\engine.matrix", "matrix"), ("\\engine.vector", "vector"))
    assert modules["\\engine.matrix"].form == modules["\\engine.vector"].form != modules["engine"].form
    styles = [modules_of([f'module m(x);\n  input x;\n  ram #(.STYLE("{style}")) r (.x(x));\nendmodule\n'])["m"] for style in "ab"]
    assert styles[0].form != styles[1].form
    assert "always" not in modules["\\engine.matrix"].stub


def test_counts_are_kept_and_add_up(tmp_path, monkeypatch) -> None:
    modules = modules_of(texts())
    done: list[float] = []
    cells = cells_of(modules, tmp_path, done.append)
    assert done[-1] == 1.0
    assert cells["\\engine.matrix"]["DSP48E2"] == 1
    parts = count_parts(modules, cells)
    assert {(part.unit, part.resources["dsp"]) for part in parts} == {("matrix", 1), ("vector", 1)}

    def refuse(script, folder):
        raise AssertionError("nothing may be synthesized again")

    with monkeypatch.context() as patch:
        patch.setattr(yosys, "run_yosys", refuse)
        assert cells_of(modules, tmp_path) == cells
        with pytest.raises(AssertionError, match="nothing may be synthesized again"):
            cells_of(modules_of(texts(second=PRODUCT.replace("* b", "+ b"))), tmp_path)
    more = modules_of(texts(second=PRODUCT.replace("* b", "* b * b * b")))
    grown = count_parts(more, cells_of(more, tmp_path))
    assert sum(part.resources["dsp"] for part in grown) > sum(part.resources["dsp"] for part in parts)


def test_a_copy_of_a_register_belongs_to_the_part_that_holds_it() -> None:
    copied = PRODUCT + "  \\engine.vector.copy_b_0  copy_b_0 (.clk(clk));\n  \\engine.vector.other_0  other_0 (.clk(clk));\n"
    leaves = "".join(f"module \\engine.vector.{name} (clk);\n  input clk;\nendmodule\n" for name in ("copy_b_0", "other_0"))
    made = made_of(modules_of([*texts(second=copied), leaves]))
    assert "\\engine.vector.copy_b_0" in made["vector/own"].modules
    assert set(made) == {"top/own", "matrix/own", "vector/own", "vector/other"}


def test_what_yosys_refuses_is_a_sentence(tmp_path) -> None:
    with pytest.raises(MachineError, match=r"^Yosys must accept the circuit, but stopped with: .*ERROR"):
        run_yosys("hierarchy -top nothing\n", tmp_path)


def test_a_missing_yosys_is_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr(yosys, "TOOL", "no-such-package")
    with pytest.raises(MachineError) as error:
        yosys.tool_version()
    assert str(error.value) == "Package no-such-package (Yosys) must be installed in this Python's environment, but is missing"


def test_cells_that_nobody_weighed_are_refused() -> None:
    assert resources_of({"LUT6": 2, "RAMB18E2": 3, "CARRY4": 9})["bram36"] == 1.5
    with pytest.raises(MachineError, match=r"^Synthesized cell must be one whose resources are known, not 'LUT9'$"):
        resources_of({"LUT9": 1})


def test_a_longer_path_is_routed_at_a_lower_clock(tmp_path) -> None:
    """What the ranking is for, on circuits that take seconds: eight additions between registers against one."""

    def summed(terms: int) -> str:
        total = " + ".join(f"(x ^ {number})" for number in range(terms))
        return f"module slice(input clk, input [31:0] a, output reg [31:0] y);\nreg [31:0] x;\n\
always @(posedge clk) begin x <= a; y <= {total}; end\nendmodule\n"

    clocks = []
    for terms in (2, 9):
        folder = tmp_path / str(terms)
        folder.mkdir()
        clocks.append(fmax._route(summed(terms), folder)["mhz"])
    assert clocks[0] > 1.3 * clocks[1] > 0


def test_a_slice_that_does_not_fit_is_a_sentence(tmp_path) -> None:
    """A circuit with more pins and multipliers than the device has."""
    wide = "module slice(input [35:0] a, output [35:0] y);\n" + "".join(
        f"(* keep *) MULT18X18D m{number} (.A0(a[{number % 36}]));\n" for number in range(200)
    )
    with pytest.raises(MachineError, match=r"^One slice must fit the ECP5 85k, speed grade 8, but .* stopped with: ERROR"):
        fmax._route(f"{wide}assign y = a;\nendmodule\n", tmp_path)
