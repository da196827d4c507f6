"""A unit's Verilog and netlists of it in one simulation: the same stimuli, and every output compared in every cycle."""

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwsim.errors import MachineError
from rtl.synthesis.netlists import cell_models, hierarchy, named
from rtl.synthesis.yosys import Module
from testbenches.tools import environment
from testbenches.verilator import bench_text, buildable, locked

__all__ = ["GateBench", "Port", "Verdict", "clock_of", "ports_of"]

_PORT = re.compile(r"^  (input|output)(?: reg)? (?:\[(\d+):0\] )?(\S+?) ?;", re.M)
_CLOCKS = ("clk", "ap_clk")
_MOST = 1 << 14
"""Cycles of one run, at most."""
_OPTIMIZE = "-O0"
"""A build takes longer than its runs."""
_OPTIONS = (
    *("--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "-Wno-UNOPTFLAT", "-Wno-SPECIFYIGN", "-Wno-MULTIDRIVEN"),
    *("--x-assign", "unique", "--x-initial", "unique", "-O3", "--top-module", "bench", "--Mdir", "obj"),
)
"""What a circuit leaves undefined is random, and other in a unit than in its netlist."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Port:
    """A port of a unit but for its clock; `width` in bits."""

    name: str
    width: int
    is_input: bool


def ports_of(module: Module) -> tuple[Port, ...]:
    """Return the ports of a module but for its clock, in the order of their declarations."""
    found = ((kind, int(high or 0) + 1, name) for kind, high, name in _PORT.findall(module.text))
    return tuple(Port(name=name, width=width, is_input=kind == "input") for kind, width, name in found if name not in _CLOCKS)


def clock_of(module: Module) -> str | None:
    """Return the name of a module's clock, None where it has none."""
    return next((name for _, _, name in _PORT.findall(module.text) if name in _CLOCKS), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one netlist.

    Attributes:
        cycles: cycles that were compared, and outputs in each, in bits.
        different: cycles in which an output differs.
        first: the first difference as a sentence, None where there is none.
    """

    cycles: int
    output_bits: int
    different: int
    first: str | None


class GateBench:
    """The simulation of a unit and of netlists of it, built once for each text of its sources.

    `inputs` are the ports that stimuli are for, in the order of their bits.
    """

    def __init__(
        self, modules: Mapping[str, Module], top: str, netlists: Mapping[str, str], folder: Path = Path("build/gates")
    ) -> None:
        """`netlists` are modules of the name `top`, by a name of their own; `folder` is where builds are kept."""
        ports = ports_of(modules[top])
        self.inputs = tuple(port for port in ports if port.is_input)
        self.outputs = tuple(port for port in ports if not port.is_input)
        self.netlists = tuple(netlists)
        clock = clock_of(modules[top])
        values = {
            "unit": f"{top} " if top.startswith("\\") else top,
            "netlists": self.netlists,
            "in_bits": self.input_bits,
            "out_bits": self.output_bits,
            "most": _MOST,
            "ports": lambda outputs: [*([f".{clock}(clk)"] if clock else []), *self._connections(outputs)],
        }
        unit = "".join(module.text for module in hierarchy(modules, top).values())
        self._sources = {
            "bench.sv": bench_text("templates/gates.sv", values),
            "gates.cpp": bench_text("gates.cpp"),
            "unit.v": unit,
            **{f"netlist-{name}.v": named(text, top, f"netlist_{name}") for name, text in netlists.items()},
            **cell_models([unit, *netlists.values()]),
        }
        text = json.dumps([self._sources, _OPTIONS], sort_keys=True)
        name = re.sub(r"\W+", "_", top).strip("_")
        self.folder = (folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}").absolute()

    @property
    def input_bits(self) -> int:
        """Bits of a stimulus."""
        return sum(port.width for port in self.inputs)

    @property
    def output_bits(self) -> int:
        """Bits that are compared in a cycle."""
        return sum(port.width for port in self.outputs)

    def run(self, stimuli: Sequence[int]) -> dict[str, Verdict]:
        """Return the verdict on each netlist after a cycle of each stimulus, the first port in its lowest bits.

        Raises:
            MachineError: the bench does not build or run.
        """
        assert 0 < len(stimuli) <= _MOST
        self._build()
        with tempfile.TemporaryDirectory() as place:
            Path(place, "stimuli.hex").write_text("".join(f"{stimulus:x}\n" for stimulus in stimuli))
            command = [
                str(self.folder / "obj" / "Vbench"),
                f"+cycles={len(stimuli)}",
                "+verilator+rand+reset+2",
                "+verilator+seed+7",
            ]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        counts = {name: int(count) for name, count in re.findall(r"^all (\w+) (\d+)$", done.stdout, re.M)}
        if done.returncode != 0 or set(counts) != set(self.netlists):
            raise MachineError(f"The bench of netlists must run, but ended with: {(done.stdout + done.stderr).strip()[-300:]}")
        firsts = {found[0]: found[1:] for found in re.findall(r"^first (\w+) (-?\d+) (\w+) (\w+)$", done.stdout, re.M)}
        return {
            name: Verdict(
                cycles=len(stimuli),
                output_bits=self.output_bits,
                different=counts[name],
                first=self._sentence(*firsts[name]) if name in firsts else None,
            )
            for name in self.netlists
        }

    def _build(self) -> None:
        done = self.folder / "done"
        with locked(self.folder.with_name(f"{self.folder.name}.lock")):
            if done.exists():
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            with buildable(self.folder) as place:
                for name, text in self._sources.items():
                    (place / name).write_text(text)
                command = ["verilator_bin", *_OPTIONS, *self._sources]
                built = subprocess.run(command, cwd=place, env=environment(_OPTIMIZE), capture_output=True, text=True, check=False)
                if built.returncode != 0:
                    complaint = next((line for line in built.stderr.splitlines() if "%Error" in line), built.stderr[-300:])
                    raise MachineError(f"The bench of netlists must build in Verilator, but: {complaint}")
            done.touch()

    def _connections(self, outputs: str) -> list[str]:
        connections = []
        for signal, ports in (("stimulus", self.inputs), (outputs, self.outputs)):
            place = 0
            for port in ports:
                connections.append(f".{port.name} ({signal}[{place + port.width - 1}:{place}])")
                place += port.width
        return connections

    def _sentence(self, cycle: str, expected: str, seen: str) -> str:
        place, whole = 0, (int(expected, 16), int(seen, 16))
        for port in self.outputs:
            ours, theirs = (value >> place & (1 << port.width) - 1 for value in whole)
            if ours != theirs:
                return f"{port.name} must be {ours:#x} in cycle {cycle}, not {theirs:#x}"
            place += port.width
        raise AssertionError("two words that differ must differ in a port")
