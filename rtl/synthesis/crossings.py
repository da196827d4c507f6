"""Wires between SLRs, counted from the netlist: every net of an engine that has ends in several SLRs of its floorplan."""

import collections
import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hwsim.arch.config import EngineConfig
from hwsim.whole_files import write_text
from rtl.floorplan import Floorplan, floorplan
from rtl.synthesis.estimate import circuit_of, engine_key
from rtl.synthesis.yosys import Module, run_yosys
from rtl.verilog import TOP

__all__ = ["Boundary", "Net", "crossings", "netlist_of", "nets_of"]

_SCRIPT = f"""\
read_verilog -sv opened.v
hierarchy -check -top {TOP}
proc
delete -output {TOP}/w:trace_*
opt_clean
write_json netlist.json
"""
"""The kernel of a package leaves the ports for benches open, so that what only serves them goes."""
_CLOCK = "ap_clk"
"""The only net that does not take the lines between SLRs."""
_LOGIC = "$"
"""What the name of a kind of cell begins with that is logic of Yosys, and not a module."""
_NUMBER = re.compile(r"_\d+(?=/|$)")
"""The number of a copy of a part, in its path."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boundary:
    """The wires over the boundary between an SLR and the next.

    Attributes:
        lower: number of the SLR below it.
        wires: bits that cross, each once however many ends it has.
        by_driver: the same by what drives them, a path in the engine, most wires first.
    """

    lower: int
    wires: int
    by_driver: Mapping[str, int]

    @property
    def by_kind(self) -> dict[str, int]:
        """The same with copies of a part, such as tiles, taken together under a path with `*` for their number; most first."""
        kinds: collections.Counter[str] = collections.Counter()
        for driver, wires in self.by_driver.items():
            kinds[_NUMBER.sub("_*", driver)] += wires
        return dict(sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0])))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
    """One bit: the path of what drives it, and the SLRs where it has ends."""

    driver: str
    slrs: frozenset[int]


def crossings(config: EngineConfig, *, slrs: int, memory_slr: int, cache: Path | None = None) -> tuple[Boundary, ...]:
    """Return the wires over each boundary of a device of `slrs` SLRs in a row, its memory at `memory_slr`, from the bottom up.

    What the floorplan does not place lies by the memory, and so does what the engine is connected to. A wire goes over all SLRs
    between its outermost ends. Results are kept in `cache`, where there is one, under digests of the engine, the sources of its
    Verilog and the tools.

    Raises:
        ConfigError: the memory lies between SLRs.
        MachineError: Yosys is missing or refuses.
    """
    plan = floorplan(config, slrs=slrs, memory_slr=memory_slr)
    if not plan.moved:
        return tuple(Boundary(lower=lower, wires=0, by_driver={}) for lower in range(slrs - 1))
    path = None if cache is None else cache / f"crossings-{engine_key(config)}-{slrs}-{memory_slr}.json"
    if path is not None and path.exists():
        return tuple(Boundary(**boundary) for boundary in json.loads(path.read_text()))
    nets = nets_of(netlist_of(circuit_of(config), plan), plan, memory_slr=memory_slr)
    found = []
    for lower in range(slrs - 1):
        drivers = collections.Counter(net.driver for net in nets if min(net.slrs) <= lower < max(net.slrs))
        by_driver = dict(sorted(drivers.items(), key=lambda entry: (-entry[1], entry[0])))
        found.append(Boundary(lower=lower, wires=drivers.total(), by_driver=by_driver))
    if path is not None:
        write_text(path, json.dumps([dataclasses.asdict(boundary) for boundary in found], indent=1))
    return tuple(found)


def netlist_of(modules: Mapping[str, Module], plan: Floorplan) -> Mapping[str, Any]:
    """Return the modules that have parts in several SLRs, and the ports of their parts, by name as Yosys writes them in JSON."""
    opened = {TOP: TOP}
    for path in sorted(_opened(plan) - {TOP}):
        above, _, instance = path.rpartition("/")
        opened[path] = next(kind for kind, name in modules[opened[above]].children if name.strip("\\ ") == instance)
    parts = {kind for name in opened.values() for kind, _ in modules[name].children} - {*opened.values()}
    text = "".join(modules[name].text for name in opened.values()) + "".join(modules[name].stub for name in sorted(parts))
    with tempfile.TemporaryDirectory() as place:
        Path(place, "opened.v").write_text(text)
        run_yosys(_SCRIPT, Path(place))
        found: Mapping[str, Any] = json.loads(Path(place, "netlist.json").read_text())["modules"]
    return found


def nets_of(netlist: Mapping[str, Any], plan: Floorplan, *, memory_slr: int) -> list[Net]:
    """Return the nets of an engine that something drives, but for the clock."""
    same: dict[_Bit, _Bit] = {}

    def first(bit: _Bit) -> _Bit:
        while bit in same:
            bit = same[bit]
        return bit

    def join(one: _Bit, other: _Bit) -> None:
        if first(one) != first(other):
            same[first(one)] = first(other)

    ends = list(_ends(netlist, plan, memory_slr, join))
    clock = {first((TOP, bit)) for bit in netlist[TOP]["ports"].get(_CLOCK, {"bits": ()})["bits"]}
    drivers: dict[_Bit, str] = {}
    slrs: dict[_Bit, set[int]] = collections.defaultdict(set)
    for end in ends:
        bit = first(end.bit)
        if bit not in clock:
            slrs[bit].add(end.slr)
            if end.is_driver:
                drivers[bit] = end.part
    return [Net(driver=part, slrs=frozenset(slrs[bit])) for bit, part in drivers.items()]


_Bit = tuple[str, int]
"""A bit of an opened module: the module's path and the number that Yosys gives the bit in it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _End:
    """Where a bit begins or ends: in a part, by its path, in an SLR."""

    bit: _Bit
    part: str
    slr: int
    is_driver: bool


def _opened(plan: Floorplan) -> set[str]:
    return {TOP} | {str(above) for cell in plan.moved for above in PurePosixPath(cell).parents if str(above) != "."}


def _ends(netlist: Mapping[str, Any], plan: Floorplan, memory_slr: int, join: Callable[[_Bit, _Bit], None]) -> Iterator[_End]:
    """Yield the ends of all bits; call `join` for a bit of an opened module's port and the one that it is in the module above."""
    opened = _opened(plan)
    placed = {TOP: memory_slr} | {cell: slr for slr, cells in plan.regions for cell in cells}
    for port in netlist[TOP]["ports"].values():
        for bit in _bits(port["bits"]):
            yield _End(bit=(TOP, bit), part=TOP, slr=memory_slr, is_driver=port["direction"] == "input")

    def walk(path: str, module: str, slr: int) -> Iterator[_End]:
        for name, cell in netlist[module]["cells"].items():
            part = path if cell["type"].startswith(_LOGIC) else f"{path}/{name}"
            inside = placed.get(part, slr)
            if part in opened and part != path:
                for port, bits in cell["connections"].items():
                    for outer, inner in zip(bits, netlist[cell["type"]]["ports"][port]["bits"], strict=True):
                        if isinstance(outer, int) and isinstance(inner, int):
                            join((part, inner), (path, outer))
                yield from walk(part, cell["type"], inside)
                continue
            for port, bits in cell["connections"].items():
                for bit in _bits(bits):
                    is_driver = cell["port_directions"][port] == "output"
                    yield _End(bit=(path, bit), part=part, slr=inside, is_driver=is_driver)

    yield from walk(TOP, TOP, memory_slr)


def _bits(bits: list[int | str]) -> Iterator[int]:
    """Yield the bits that are no constants."""
    return (bit for bit in bits if isinstance(bit, int))
