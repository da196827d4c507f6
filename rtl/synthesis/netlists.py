"""Netlists of units after technology mapping, as Verilog, and the simulation models of the cells in them."""

import hashlib
import importlib.util
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from pathlib import Path

from hwsim.whole_files import write_text
from rtl.synthesis.yosys import (
    FROM_PREPARE,
    HIDE_NAMES,
    READ_MODULES,
    TO_CELLS,
    TOOL,
    Module,
    run_yosys,
    synthesizable,
    tool_version,
)
from rtl.verilog import CELLS, PRIMITIVES

__all__ = ["cell_models", "hierarchy", "kinds_of", "mapped", "named", "yosys_cells", "yosys_folder"]

_SCRIPT = f"""\
{READ_MODULES}
hierarchy -check -top {{top}}
{{names}}
{TO_CELLS} -flatten -top {{top}} {FROM_PREPARE}
setundef -zero -params
splitnets
write_verilog -noattr netlist.v
"""
"""UltraScale+ as resources are counted, but flattened. What a table or a memory leaves undefined is zero on the device."""
_CELL = re.compile(r"^  ([A-Z]\w+) (?:#\(|\S+ \()", re.M)
_OWN = ("logic.v", "ramb.v", "uram288.v")
"""Models that Yosys has not, or that compile better than its own."""
_FROM_YOSYS = "cells_sim.v"


def hierarchy(modules: Mapping[str, Module], top: str, *, apart: Collection[str] = ()) -> dict[str, Module]:
    """Return a module and all that it instantiates, by name, but for what is inside the modules `apart`."""
    found: dict[str, Module] = {}
    waiting = [top]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = modules[name]
            waiting += [child for child, _ in modules[name].children if child not in apart]
    return found


def mapped(modules: Mapping[str, Module], top: str, cache: Path, *, apart: Collection[str] = (), has_names: bool = False) -> str:
    """Return the netlist of a module with all that it instantiates, flattened, as one Verilog module of the same name.

    Modules `apart` stay instances. With `has_names`, wires have the names that they have in the modules. Netlists are kept in
    `cache` under digests of the modules, the script and the version of Yosys.

    Raises:
        MachineError: Yosys is missing or refuses.
    """
    found = hierarchy(modules, top, apart=apart)
    stubs = {child for module in found.values() for child, _ in module.children} - found.keys()
    text = synthesizable("".join(module.text for module in found.values()) + "".join(modules[name].stub for name in sorted(stubs)))
    script = _SCRIPT.format(top=top, names="" if has_names else HIDE_NAMES)
    key = hashlib.sha256("\0".join([text, script, tool_version()]).encode()).hexdigest()[:32]
    path = cache / f"netlist-{key}.v"
    if not path.exists():
        with tempfile.TemporaryDirectory() as place:
            Path(place, "modules.v").write_text(text)
            run_yosys(script, Path(place))
            netlist = Path(place, "netlist.v").read_text()
        write_text(path, netlist)
    return path.read_text()


def named(text: str, old: str, new: str) -> str:
    """Return a Verilog module with another name."""
    changed, count = re.subn(rf"^module {re.escape(old)}(?![\w$.])", lambda _: f"module {new}", text, flags=re.M)
    assert count == 1, f"{old} must be declared once, not {count} times"
    return changed


def yosys_folder() -> Path:
    """Return the folder of Yosys' package; raise MachineError when it is missing."""
    tool_version()
    found = importlib.util.find_spec(TOOL)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def yosys_cells() -> str:
    """Return the models of cells that Yosys has; raise MachineError when it is missing."""
    return (yosys_folder() / "share" / "xilinx" / _FROM_YOSYS).read_text()


def kinds_of(netlist: str) -> set[str]:
    """Return the kinds of cells in a netlist."""
    return set(_CELL.findall(netlist))


def cell_models(netlists: Iterable[str]) -> dict[str, str]:
    """Return the models of all cells of some netlists, text by file name; raise MachineError when Yosys is missing."""
    own = {name: (resources.files("rtl") / "synthesis" / "cells" / name).read_text() for name in _OWN}
    own |= {name: PRIMITIVES[name] for name in CELLS}
    declared = {kind for text in own.values() for kind in re.findall(r"^module (\w+)", text, re.M)}
    used = {kind for netlist in netlists for kind in kinds_of(netlist)} - declared
    library = yosys_cells()
    models = {kind: re.search(rf"^module {kind}\b.*?^endmodule\n", library, re.M | re.S) for kind in sorted(used)}
    return own | {_FROM_YOSYS: "".join(model.group() for model in models.values() if model)}
