"""Proof that the netlist of a unit without registers computes what the unit does, for every input."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import MachineError
from rtl.synthesis.netlists import cell_models, hierarchy, kinds_of, yosys_folder
from rtl.synthesis.yosys import Module, run_yosys, synthesizable

__all__ = ["is_proved_equal"]

_SIDE = """\
read_verilog -sv {files}
hierarchy -top {top}
proc
flatten
memory
opt_clean
techmap
opt_expr
aigmap
opt_clean
write_blif {name}.blif
design -reset
"""
_SECONDS = 600


def is_proved_equal(modules: Mapping[str, Module], top: str, netlist: str) -> bool:
    """Return whether ABC proves a module and its netlist equal; False where it finds inputs that tell them apart.

    Raises:
        MachineError: Yosys refuses, the circuit has registers, or ABC does not decide.
    """
    unit = "".join(module.text for module in hierarchy(modules, top).values())
    kinds = kinds_of(netlist)
    cells = "".join(cell_models([netlist]).values())
    used = [cell.group() for cell in re.finditer(r"^module (\w+).*?^endmodule$", cells, re.M | re.S) if cell.group(1) in kinds]
    with tempfile.TemporaryDirectory() as place:
        Path(place, "unit.v").write_text(synthesizable(unit))
        Path(place, "netlist.v").write_text(netlist + "\n".join(used))
        run_yosys("".join(_SIDE.format(files=f"{name}.v", top=top, name=name) for name in ("unit", "netlist")), Path(place))
        if any(re.search(r"^\.latch", Path(place, f"{name}.blif").read_text(), re.M) for name in ("unit", "netlist")):
            raise MachineError(f"A unit that is proved equal to its netlist must have no registers, and {top} has some")
        command = [str(yosys_folder() / "yosys-abc"), "-c", "cec unit.blif netlist.blif"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if "Networks are equivalent" in done.stdout:
        return True
    if "Networks are NOT EQUIVALENT" in done.stdout:
        return False
    raise MachineError(f"ABC must decide whether {top} and its netlist are equal, not end with: {done.stdout.strip()[-200:]}")
