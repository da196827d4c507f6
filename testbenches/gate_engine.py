"""The engine's Verilog with the netlist of each of its parts beside the part: real programs, and every output compared."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from hwsim.arch.config import EngineConfig
from rtl.copies import COPY
from rtl.matrix.slice import Slice
from rtl.synthesis.netlists import cell_models, hierarchy, mapped, named
from rtl.synthesis.yosys import Module, circuit_modules
from rtl.verilog import TOP, generate
from testbenches.gates import clock_of, ports_of
from testbenches.verilated import Verilated

__all__ = ["GatedVerilog", "gated", "netlists_of", "parts_of"]

_DIVIDED = ("fetch", "matrix", "vector")
"""Units of the engine whose parts stand beside their netlists one by one: what there is besides connects these."""
_DIFFERENCE = "The netlist of "
_ESCAPE = "\\"
"""Before names of Verilog with any characters, up to the next space."""
_OPTIMIZE = "-O1"
"""Of a build that takes minutes, for runs of seconds."""


class GatedVerilog(Verilated):
    """The Verilog in Verilator, in which each of its parts stands beside its netlist, which gets the same inputs.

    Every output of every instance is compared in every cycle.
    """

    name = "verilator with netlists"

    def __init__(
        self,
        engine: EngineConfig,
        folder: Path = Path("build/verilator"),
        cache: Path = Path("build/synthesis"),
        netlists: Mapping[str, str] | None = None,
    ) -> None:
        """`netlists` are those of some modules, of all parts when left out; raise MachineError when Yosys is missing or refuses."""
        sources = generate(engine)
        # The netlists' memories give old words where they are read and written in one cycle, and so must those beside them.
        super().__init__(engine, folder, _OPTIMIZE, gated(sources, netlists or netlists_of(sources, cache)), defines=())

    def complaint(self, log: str) -> str | None:
        """Return the sentence on the first output that differs from its netlist's."""
        found = re.search(rf"^{_DIFFERENCE}.*$", log, re.M)
        return None if found is None else found.group()


def parts_of(modules: Mapping[str, Module]) -> tuple[str, ...]:
    """Return the modules of an engine that stand beside their netlists, in the order of their names.

    These are the slice, the parts of the engine, and in place of FETCH, MATRIX and VECTOR the parts of each of them, but for
    registers that are copies and for parts without registers.
    """
    engine = next(name for name in modules if name.lstrip(_ESCAPE) == TOP)
    divided = {f"{_ESCAPE}{TOP}.{unit}" for unit in _DIVIDED}
    children = [child for name in (engine, *sorted(divided)) for child in modules[name].children]
    found = {kind for kind, instance in children if kind not in divided and not instance.startswith(COPY)}
    return tuple(sorted(kind for kind in found | {Slice.module} if clock_of(modules[kind])))


def netlists_of(sources: Mapping[str, str], cache: Path, tops: Collection[str] = ()) -> dict[str, str]:
    """Return the netlists of some modules of an engine's Verilog files, of its parts where none is named, by module.

    Those of them that are inside another one stay instances in its netlist. `cache` is where netlists are kept.
    """
    modules = circuit_modules(sources)
    chosen = tops or parts_of(modules)
    return {top: mapped(modules, top, cache, apart=chosen) for top in chosen}


def gated(sources: Mapping[str, str], netlists: Mapping[str, str]) -> dict[str, str]:
    """Return an engine's Verilog files with netlists of some modules, by module, beside these.

    A module that has a netlist of its own stands in the netlists of others as it is in Verilog.
    """
    modules, changed = circuit_modules(sources), dict(sources)
    for top, netlist in netlists.items():
        text, inside = modules[top].text, top.lstrip(_ESCAPE)
        rtl, gates = _version(top, "rtl"), _version(top, "gates")
        (file,) = (name for name, whole in changed.items() if name.endswith(".v") and text in whole)
        renamed = changed[file].replace(text, named(text, top, rtl))
        others = (netlists.keys() & hierarchy(modules, top).keys()) - {top}
        for other in others:
            assert netlists.keys() & hierarchy(modules, other).keys() == {other}, f"{other} must have no parts with netlists"
            netlist = _with_verilog(netlist, other)
        changed[file] = f"{renamed}\n{named(netlist, top, gates)}\n{_pair(modules[top], inside, rtl, gates)}"
    return changed | cell_models(netlists.values())


def _version(name: str, kind: str) -> str:
    """Return the name, as Verilog writes it, of the module that is one of the two of a pair."""
    return f"{_ESCAPE}{name.lstrip(_ESCAPE)}.{kind} "


def _with_verilog(netlist: str, name: str) -> str:
    """Return a netlist whose instances of a module are those of its Verilog alone."""
    return re.sub(rf"^  {re.escape(name)} (?=\S+ +\()", lambda _: f"  {_version(name, 'rtl')}", netlist, flags=re.M)


def _pair(module: Module, name: str, rtl: str, gates: str) -> str:
    """Return the module that stands in for a module and its netlist; the module's outputs are its own."""
    clock, ports = clock_of(module), ports_of(module)
    assert clock is not None
    outputs = [port for port in ports if not port.is_input]
    bits = sum(port.width for port in outputs)
    declared = [
        f"input {clock}",
        *(f"{'input' if port.is_input else 'output'} [{port.width - 1}:0] {port.name} " for port in ports),
    ]
    inputs = [f".{clock}({clock})", *(f".{port.name} ({port.name} )" for port in ports if port.is_input)]
    pins: dict[str, list[str]] = {"seen": [], "expected": []}
    lines, checks, place = [], [], 0
    for port in outputs:
        part = f"[{place + port.width - 1}:{place}]"
        for signal, found in pins.items():
            found.append(f".{port.name} ({signal}{part})")
        lines.append(f"  assign {port.name} = expected{part};\n")
        what = f"{_DIFFERENCE}{name} must have {port.name.lstrip(_ESCAPE)} %h, not %h"
        checks.append(f'    if (expected{part} != seen{part}) $display("{what}", expected{part}, seen{part});\n')
        place += port.width
    header = f"\\{name} " if "." in name else name
    return (
        f"module {header}({', '.join(declared)});\n  wire [{bits - 1}:0] expected, seen;\n{''.join(lines)}"
        f"  {rtl} rtl ({', '.join([*inputs, *pins['expected']])});\n  {gates} gates ({', '.join([*inputs, *pins['seen']])});\n"
        f"  always @(posedge {clock}) if (expected != seen) begin\n{''.join(checks)}    $fatal(1);\n  end\nendmodule\n"
    )
