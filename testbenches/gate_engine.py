"""The engine's Verilog with the netlist of each unit beside the unit: real programs, and every output compared."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from hwsim.arch.config import EngineConfig
from rtl.fetch import StreamPort
from rtl.matrix.slice import Slice
from rtl.synthesis.netlists import cell_models, mapped, named
from rtl.synthesis.yosys import Module, circuit_modules
from rtl.vector.lane import Coder, Lane
from rtl.verilog import generate
from testbenches.gates import clock_of, ports_of
from testbenches.verilated import Verilated

__all__ = ["GATED", "GatedVerilog", "gated", "netlists_of"]

GATED = (
    *(kind.module for kind in (Slice, StreamPort, Lane, Coder)),
    *(
        rf"\engine.{path}"
        for path in ("matrix.sequencer", "matrix.drain", "matrix.lane_tree", "matrix.epilogue", "mover", "control")
    ),
)
"""Modules of an engine that stand beside their netlists: slice, stream FIFO, vector lane and coder, sequencers, drain, mover."""
_DIFFERENCE = "The netlist of "
_ESCAPE = "\\"
"""Before names of Verilog with any characters, up to the next space."""
_OPTIMIZE = "-O1"
"""Of a build that takes minutes, for runs of seconds."""


class GatedVerilog(Verilated):
    """The Verilog in Verilator, in which each module of GATED stands beside its netlist, which gets the same inputs.

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
        """`netlists` are those of some modules, in place of those of GATED; raise MachineError when Yosys is missing or refuses."""
        sources = generate(engine)
        # The netlists' memories give old words where they are read and written in one cycle, and so must those beside them.
        super().__init__(engine, folder, _OPTIMIZE, gated(sources, netlists or netlists_of(sources, cache)), defines=())

    def complaint(self, log: str) -> str | None:
        """Return the sentence on the first output that differs from its netlist's."""
        found = re.search(rf"^{_DIFFERENCE}.*$", log, re.M)
        return None if found is None else found.group()


def netlists_of(sources: Mapping[str, str], cache: Path, tops: Collection[str] = GATED) -> dict[str, str]:
    """Return the netlists of some modules of an engine's Verilog files, by module; `cache` is where they are kept."""
    modules = circuit_modules(sources)
    return {top: mapped(modules, top, cache) for top in tops}


def gated(sources: Mapping[str, str], netlists: Mapping[str, str]) -> dict[str, str]:
    """Return an engine's Verilog files with netlists of some modules, by module, beside these."""
    modules, changed = circuit_modules(sources), dict(sources)
    for top, netlist in netlists.items():
        text, inside = modules[top].text, top.lstrip(_ESCAPE)
        rtl, gates = f"\\{inside}.rtl ", f"\\{inside}.gates "
        (file,) = (name for name, whole in changed.items() if name.endswith(".v") and text in whole)
        renamed = changed[file].replace(text, named(text, top, rtl))
        changed[file] = f"{renamed}\n{named(netlist, top, gates)}\n{_pair(modules[top], inside, rtl, gates)}"
    return changed | cell_models(netlists.values())


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
