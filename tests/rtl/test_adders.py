"""Adders made of cells are sums and products for every input: proved by Yosys with its models of the cells."""

from pathlib import Path

import pytest

from hwsim.errors import MachineError
from rtl.synthesis.yosys import run_yosys
from rtl.verilog import PRIMITIVES


def proof(module: str, parameters: str) -> str:
    """Return the script that proves both forms of a module equal: that for simulators, and that made of cells."""
    return f"""\
read_verilog -DVERILATOR -sv {module}.v
chparam {parameters} {module}
rename {module} meant
read_verilog -sv {module}.v
chparam {parameters} {module}
rename {module} made
read_verilog +/xilinx/cells_sim.v
hierarchy
proc
flatten
miter -equiv -flatten meant made miter
hierarchy -top miter
opt -full
sat -verify -prove trigger 0 miter
"""


def prove(folder: Path, module: str, parameters: str, broken: tuple[str, str] = ("", "")) -> str:
    (folder / f"{module}.v").write_text(PRIMITIVES[f"{module}.v"].replace(*broken))
    return run_yosys(proof(module, parameters), folder)


@pytest.mark.parametrize(("module", "parameters"), [("sum3", f"-set BITS {bits}") for bits in (2, 8, 13, 36)] + [("times3", "")])
def test_cells_make_what_simulators_compute(module: str, parameters: str, tmp_path: Path) -> None:
    assert "SAT proof finished - no model found: SUCCESS!" in prove(tmp_path, module, parameters)


@pytest.mark.parametrize(
    ("module", "broken"),
    [
        ("sum3", ("69966996E8E8E8E8", "69966996E8E8E8E9")),
        ("sum3", ("saved[8*i +: 8]", "propagate[8*i +: 8]")),
        ("times3", ("6CA06CA033FFCC00", "6CA06CA033FFCC01")),
        ("times3", (".CI(negative)", ".CI(1'b0)")),
    ],
)
def test_a_wrong_table_or_carry_is_caught(module: str, broken: tuple[str, str], tmp_path: Path) -> None:
    assert broken[0] in PRIMITIVES[f"{module}.v"]
    with pytest.raises(MachineError, match="ERROR"):
        prove(tmp_path, module, "-set BITS 8" if module == "sum3" else "", broken)
