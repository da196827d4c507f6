"""The resources of an engine: cells counted as a board counts them, by unit and part and in total."""

import dataclasses
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError
from hwsim.whole_files import write_text
from rtl.synthesis.yosys import Module, cells_of, modules_of, tool_version
from rtl.verilog import TOP, generate

__all__ = ["Estimate", "Part", "count_parts", "estimate", "resources_of"]

_CELLS: Mapping[tuple[str, float], str] = {
    # Inverters usually vanish into the look-up table behind them; not always.
    ("lut", 1): "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 INV SRL16E SRLC16E SRLC32E RAM32X1S RAM64X1S",
    # Distributed memories, in look-up tables (UG574, table of distributed RAM configurations).
    ("lut", 2): "RAM128X1S RAM32X1D RAM64X1D",
    ("lut", 4): "RAM256X1S RAM128X1D RAM32M RAM64M",
    ("lut", 8): "RAM512X1S RAM256X1D RAM32M16 RAM64M8 RAM32X16DR8 RAM64X8SW",
    ("ff", 1): "FDRE FDSE FDCE FDPE",
    ("bram36", 1): "RAMB36E2",
    ("bram36", 0.5): "RAMB18E2",
    ("uram", 1): "URAM288",
    ("dsp", 1): "DSP48E2",
}
"""The cells that take one of RESOURCES, and how many of it each takes."""
_WEIGHTS = {cell: weight for weight, cells in _CELLS.items() for cell in cells.split()}
_FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC"}
"""Part of the logic cells that are counted."""
_UNITS = ("control", "fetch", "matrix", "vector", "mover")
_SHARED = re.compile(r"^\w+$")
"""Modules converted once have plain names; all others are named by their place."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an engine, all its copies together."""

    unit: str
    """Unit it belongs to, or `memories`, or `top`."""
    name: str
    """Its own name; `own` for what lies directly in the unit."""
    count: int
    """Copies."""
    resources: Mapping[str, float]
    """Resources of all copies, by the names of hwsim.arch.board.RESOURCES."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """The resources that an engine takes."""

    engine: str
    parts: tuple[Part, ...]
    tool: str
    """Yosys and its version."""

    def total(self, resource: str) -> float:
        """Return how many of one of RESOURCES the engine takes."""
        return sum(part.resources[resource] for part in self.parts)


def resources_of(cells: Mapping[str, int]) -> dict[str, float]:
    """Return cells as counts of RESOURCES; raise MachineError for a cell whose resources are unknown."""
    total = dict.fromkeys(RESOURCES, 0.0)
    for kind, count in cells.items():
        if kind in _FREE:
            continue
        if kind not in _WEIGHTS:
            raise MachineError(f"Synthesized cell must be one whose resources are known, not {kind!r}")
        resource, weight = _WEIGHTS[kind]
        total[resource] += weight * count
    return total


def count_parts(modules: Mapping[str, Module], cells: Mapping[str, Mapping[str, int]], top: str = TOP) -> tuple[Part, ...]:
    """Return the parts below module `top`, each with the cells of all its copies."""
    copies: dict[tuple[str, str], int] = {}
    held: dict[tuple[str, str], dict[str, float]] = {}

    def walk(name: str, key: tuple[str, str], times: int) -> None:
        resources = held.setdefault(key, dict.fromkeys(RESOURCES, 0.0))
        for resource, count in resources_of(cells[name]).items():
            resources[resource] += times * count
        children: dict[tuple[str, tuple[str, str], bool], int] = {}
        for child, instance in modules[name].children:
            if child not in cells:
                continue
            inner, is_new = _key_of(child, instance.strip("\\ "), key)
            children[child, inner, is_new] = children.get((child, inner, is_new), 0) + 1
        for (child, inner, is_new), count in children.items():
            if is_new:
                copies[inner] = copies.get(inner, 0) + times * count
            walk(child, inner, times * count)

    copies[("top", "own")] = 1
    walk(top, ("top", "own"), 1)
    return tuple(
        Part(unit=key[0], name=key[1], count=copies.get(key, 1), resources=resources)
        for key, resources in held.items()
        if any(resources.values())
    )


def _key_of(child: str, instance: str, key: tuple[str, str]) -> tuple[tuple[str, str], bool]:
    """Return the part that an instance belongs to, and whether it is a copy of it rather than inside one."""
    unit, part = key
    if key == ("top", "own"):
        if instance == "registers":
            return ("control", instance), True
        return ((instance, "own"), True) if instance in _UNITS else (("memories", instance), True)
    if _SHARED.match(child):
        return (unit, child), True
    return ((unit, re.sub(r"_\d+$", "", instance)), True) if part == "own" else (key, False)


def estimate(
    config: EngineConfig, cache: Path = Path("build/synthesis"), progress: Callable[[float], None] = lambda fraction: None
) -> Estimate:
    """Return the resources that an engine takes on UltraScale+; raise MachineError when Yosys is missing or refuses.

    Whole results are kept in `cache` under digests of the engine, of the sources that make its Verilog and of the tools.
    """
    path = cache / f"engine-{_engine_key(config)}.json"
    if path.exists():
        document = json.loads(path.read_text())
        return Estimate(engine=config.name, tool=document["tool"], parts=tuple(Part(**part) for part in document["parts"]))
    tool = f"Yosys {tool_version()}"
    progress(0.0)
    texts = [text for name, text in generate(config).items() if name.endswith(".v") and name != "dsp48e2.v"]
    modules = modules_of(texts)
    result = Estimate(engine=config.name, tool=tool, parts=count_parts(modules, cells_of(modules, cache, progress)))
    parts = [dataclasses.asdict(part) for part in result.parts]
    write_text(path, json.dumps({"tool": tool, "parts": parts}, indent=1))
    return result


def _engine_key(config: EngineConfig) -> str:
    """Return the digest of everything a result depends on."""
    root = Path(__file__).parents[2]
    sources = sorted(path for glob in ("rtl/**/*.py", "rtl/**/*.v", "hwsim/arch/**/*.py") for path in root.glob(glob))
    parts = [config.digest, tool_version(), importlib.metadata.version("amaranth"), *(path.read_text() for path in sources)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
