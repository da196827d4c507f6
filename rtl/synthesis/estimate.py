"""The resources of an engine: cells counted as a board counts them, by unit and part and in total."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError, shown
from hwsim.whole_files import write_text
from rtl.copies import COPY
from rtl.kept import SOURCES
from rtl.synthesis.yosys import INSIDE, Module, cells_of, circuit_modules, tool_version
from rtl.verilog import TOP, generate

__all__ = [
    "Estimate",
    "MadeOf",
    "Part",
    "circuit_of",
    "count_parts",
    "engine_key",
    "estimate",
    "made_of",
    "part_form",
    "places_of",
    "resources_of",
]

_CELLS: Mapping[tuple[str, float], str] = {
    # Inverters usually vanish into the look-up table behind them; not always.
    ("lut", 1): "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 LUT6_2 INV SRL16E SRLC16E SRLC32E RAM32X1S RAM64X1S",
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
_TOP_PART = ("top", "own")
_UNITS = ("control", "fetch", "matrix", "vector", "mover")
_SHARED = re.compile(r"^\w+$")
"""Modules converted once have plain names; all others are named by their place."""
_NUMBERED = re.compile(r"\$\d+$")
_RAM = "ram"
"""The module of every memory; what it takes depends on its parameters, so that it counts to the module that holds it."""
_LANES = re.compile(r"\.LANES\(32'd(\d+)\)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an engine, all its copies together."""

    unit: str
    """Unit it belongs to, or `memories`, or `top`."""
    name: str
    """Its own name; `own` for what lies directly in the unit."""
    count: int
    """Copies; a part that is a memory counts once a lane, since what it takes grows with these."""
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


Key = tuple[str, str]
"""Unit and name of a part."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MadeOf:
    """What one part of an engine is made of.

    Attributes:
        form: digest of its modules but for their names; parts of equal form take equal resources a copy.
        copies: how many there are, as Part counts them.
        modules: names of its modules.
        holds_memory: whether a memory is among them, whose shape decides what it takes.
    """

    form: str
    copies: int
    modules: frozenset[str]
    holds_memory: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A module in a part: `times` it occurs there, and whether each is a copy of the part rather than inside one."""

    part: Key
    module: str
    times: int
    is_copy: bool


def resources_of(cells: Mapping[str, int]) -> dict[str, float]:
    """Return cells as counts of RESOURCES; raise MachineError for a cell whose resources are unknown."""
    total = dict.fromkeys(RESOURCES, 0.0)
    for kind, count in cells.items():
        if kind in _FREE:
            continue
        if kind not in _WEIGHTS:
            raise MachineError(f"Synthesized cell must be one whose resources are known, not {shown(kind)}")
        resource, weight = _WEIGHTS[kind]
        total[resource] += weight * count
    return total


def count_parts(modules: Mapping[str, Module], cells: Mapping[str, Mapping[str, int]], top: str = TOP) -> tuple[Part, ...]:
    """Return the parts below module `top`, each with the cells of all its copies."""
    copies: dict[Key, int] = {}
    held: dict[Key, dict[str, float]] = {}
    for place in places_of(modules, top):
        if place.module not in cells:
            continue
        resources = held.setdefault(place.part, dict.fromkeys(RESOURCES, 0.0))
        for resource, count in resources_of(cells[place.module]).items():
            resources[resource] += place.times * count
        if place.is_copy:
            copies[place.part] = copies.get(place.part, 0) + place.times * _memory_lanes(modules[place.module])
    return tuple(
        Part(unit=key[0], name=key[1], count=copies[key], resources=resources)
        for key, resources in held.items()
        if any(resources.values())
    )


def made_of(modules: Mapping[str, Module], top: str = TOP) -> Mapping[str, MadeOf]:
    """Return what the parts below module `top` are made of, by unit and name such as `matrix/slice`; nothing is synthesized."""
    places: dict[str, list[Place]] = {}
    for place in places_of(modules, top):
        places.setdefault("/".join(place.part), []).append(place)
    return {part: _made_of(modules, some) for part, some in places.items()}


def _made_of(modules: Mapping[str, Module], places: Sequence[Place]) -> MadeOf:
    names = frozenset(place.module for place in places)
    return MadeOf(
        form=part_form(modules, names),
        copies=sum(place.times * _memory_lanes(modules[place.module]) for place in places if place.is_copy),
        modules=names - {*INSIDE},
        holds_memory=_RAM in names,
    )


def part_form(modules: Mapping[str, Module], names: Collection[str]) -> str:
    """Return the digest of the modules of a part but for their names, and but for how often each occurs."""
    forms = sorted({modules[name].form for name in names if name not in INSIDE})
    return hashlib.sha256("".join(forms).encode()).hexdigest()[:16]


def _memory_lanes(module: Module) -> int:
    """Return the lanes of a memory; 1 where a module is more than one memory, or none."""
    if [child for child, _ in module.children] != [_RAM]:
        return 1
    (lanes,) = _LANES.findall(module.text)
    return int(lanes)


def places_of(modules: Mapping[str, Module], top: str = TOP) -> Iterator[Place]:
    """Yield every module below `top` in every part that it occurs in, those that hold others first."""

    def walk(name: str, part: Key, times: int, is_copy: bool) -> Iterator[Place]:
        yield Place(part=part, module=name, times=times, is_copy=is_copy)
        children: dict[tuple[str, Key, bool], int] = {}
        for child, instance in modules[name].children:
            inner, is_new = _key_of(child, instance.strip("\\ "), part)
            children[child, inner, is_new] = children.get((child, inner, is_new), 0) + 1
        for (child, inner, is_new), count in children.items():
            yield from walk(child, inner, times * count, is_new)

    yield from walk(top, _TOP_PART, 1, True)


def _key_of(child: str, instance: str, part: Key) -> tuple[Key, bool]:
    """Return the part that an instance belongs to, and whether it is a copy of it rather than inside one."""
    unit, name = part
    # Verilog numbers equal names.
    instance = _NUMBERED.sub("", instance)
    if child in INSIDE or instance.startswith(COPY):
        return part, False
    if part == _TOP_PART:
        if instance == "registers":
            return ("control", instance), True
        return ((instance, "own"), True) if instance in _UNITS else (("memories", instance), True)
    if _SHARED.match(child):
        return (unit, child), True
    return ((unit, re.sub(r"_\d+$", "", instance)), True) if name == "own" else (part, False)


def estimate(
    config: EngineConfig, cache: Path = Path("build/synthesis"), progress: Callable[[float], None] = lambda fraction: None
) -> Estimate:
    """Return the resources that an engine takes on UltraScale+; raise MachineError when Yosys is missing or refuses.

    Whole results are kept in `cache` under digests of the engine, of the sources that make its Verilog and of the tools.
    """
    path = cache / f"engine-{engine_key(config)}.json"
    if path.exists():
        document = json.loads(path.read_text())
        return Estimate(engine=config.name, tool=document["tool"], parts=tuple(Part(**part) for part in document["parts"]))
    tool = f"Yosys {tool_version()}"
    progress(0.0)
    modules = circuit_of(config)
    result = Estimate(engine=config.name, tool=tool, parts=count_parts(modules, cells_of(modules, cache, progress)))
    parts = [dataclasses.asdict(part) for part in result.parts]
    write_text(path, json.dumps({"tool": tool, "parts": parts}, indent=1))
    return result


def circuit_of(config: EngineConfig) -> Mapping[str, Module]:
    """Return the modules of an engine by name, as they are synthesized."""
    return circuit_modules(generate(config))


def engine_key(config: EngineConfig) -> str:
    """Return the digest of everything that the resources of an engine depend on."""
    return hashlib.sha256("\0".join([config.digest, tool_version(), SOURCES]).encode()).hexdigest()[:32]
