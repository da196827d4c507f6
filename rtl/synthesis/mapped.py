"""Modules as they are mapped on the cells of UltraScale+, with the names that their wires have in our source."""

import dataclasses
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rtl.synthesis.yosys import FROM_PREPARE, READ_MODULES, TO_CELLS, Job, Module, each_once
from rtl.verilog import TOP

__all__ = ["Bit", "Cell", "Mapped", "mapped_of"]

_MARK = "mapped"
_SCRIPT = f"""\
{READ_MODULES}
hierarchy -check
delete -output {TOP}/w:trace_*
{TO_CELLS} {FROM_PREPARE}
flatten
select A:{_MARK}
write_json -selected mapped.json
"""
"""Each module by itself, its memories inside it; what only serves the ports for benches goes, as in a package."""
_ESCAPED = re.compile(r"\\\S+")
_LONGEST = 64
"""Digits of the parameters that are kept: those that are no contents of tables and memories."""
_ATTRIBUTES = f"(* {_MARK}, keep_hierarchy *)\n"

Bit = int | None
"""A bit of a module by the number that Yosys gives it; None where it is constant or open."""
Pins = Mapping[str, tuple[Bit, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell, or a module inside another one.

    Attributes:
        kind: name of the vendor's cell, or of the module.
        name: of the instance.
        parameters: texts, or whole numbers as binary digits.
        inputs, outputs: bits of its pins, lowest first.
    """

    kind: str
    name: str
    parameters: Mapping[str, str]
    inputs: Pins
    outputs: Pins

    @property
    def pins(self) -> Pins:
        """The bits of all pins."""
        return {**self.inputs, **self.outputs}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mapped:
    """One module.

    Attributes:
        inputs, outputs: bits of its ports, lowest first.
        cells: the vendor's.
        children: modules inside it, those of the engine alone.
        names: of a bit, the shortest name that our source gives it; bits without one are not there.
    """

    inputs: Pins
    outputs: Pins
    cells: tuple[Cell, ...]
    children: tuple[Cell, ...]
    names: Mapping[int, str]


def mapped_of(
    modules: Mapping[str, Module],
    folder: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    *,
    processes: int | None = None,
) -> Mapping[str, Mapped]:
    """Return each module as it is mapped, by its name; kept in `folder` as `each_once` does.

    Raises:
        MachineError: Yosys is missing or refuses.
    """
    job = Job(
        script=_SCRIPT,
        ending="mapped",
        prepared=lambda text, is_wanted: _prepared(text, is_wanted),
        results=lambda place, names: _results(place, {name: modules[name] for name in names}),
    )
    paths = each_once(job, modules, folder, progress, processes=processes)
    documents = {path: json.loads(path.read_text()) for path in set(paths.values())}
    plain = {_plain(name): name for name in modules}
    return {name: _mapped(documents[path], modules[name], plain) for name, path in paths.items()}


def _prepared(text: str, is_wanted: bool) -> str:
    """Return the text of a module as Yosys takes it, which holds `a[1]` for a bit of `a` even where it is a name of its own."""
    text = _ESCAPED.sub(lambda name: name.group().replace("[", "<").replace("]", ">"), text)
    return _ATTRIBUTES + text if is_wanted else text


def _plain(name: str) -> str:
    return name.strip().lstrip("\\").replace("<", "[").replace(">", "]")


def _results(place: Path, modules: Mapping[str, Module]) -> dict[str, str]:
    """Return what is kept of each module: the netlist without what nobody reads, and the names in its text in order."""
    netlist = {_plain(name): found for name, found in json.loads((place / "mapped.json").read_text())["modules"].items()}
    kept = {}
    for name, module in modules.items():
        found = netlist[_plain(name)]
        ports = {_plain(port): [entry["direction"], entry["bits"]] for port, entry in found["ports"].items()}
        names = {_plain(wire): entry["bits"] for wire, entry in found["netnames"].items() if not entry.get("hide_name")}
        cells = []
        for instance, cell in found["cells"].items():
            pins = {_plain(pin): [cell["port_directions"][pin], bits] for pin, bits in cell["connections"].items()}
            parameters = {key: str(value) for key, value in cell["parameters"].items() if len(str(value)) <= _LONGEST}
            cells.append([_plain(cell["type"]), _plain(instance), parameters, pins])
        document = {"identifiers": [_plain(word) for word in module.identifiers], "ports": ports, "names": names, "cells": cells}
        kept[name] = json.dumps(document, separators=(",", ":"))
    return kept


def _mapped(document: Any, module: Module, modules: Mapping[str, str]) -> Mapped:
    """Return a kept netlist with the names of one of the modules that share it."""
    own = dict(zip(document["identifiers"], map(_plain, module.identifiers), strict=True))

    def pins(entries: Mapping[str, Any], direction: str, renamed: Mapping[str, str]) -> Pins:
        return {renamed.get(pin, pin): tuple(map(_bit, bits)) for pin, (way, bits) in entries.items() if way == direction}

    cells: list[Cell] = []
    children: list[Cell] = []
    inside = {_plain(kind) for kind, _ in module.children}
    for kind, name, parameters, entries in document["cells"]:
        is_child = own.get(kind, kind) in inside
        renamed = own if is_child else {}
        cell = Cell(
            kind=modules[own[kind]] if is_child else kind,
            name=own.get(name, name),
            parameters=parameters,
            inputs=pins(entries, "input", renamed),
            outputs=pins(entries, "output", renamed),
        )
        (children if is_child else cells).append(cell)
    names = dict(_shortest((own.get(wire, wire), bits) for wire, bits in document["names"].items()))
    ports = document["ports"]
    return Mapped(
        inputs=pins(ports, "input", own),
        outputs=pins(ports, "output", own),
        cells=tuple(cells),
        children=tuple(children),
        names=names,
    )


def _bit(bit: int | str) -> Bit:
    return bit if isinstance(bit, int) else None


def _shortest(wires: Iterator[tuple[str, Collection[int | str]]]) -> Iterator[tuple[int, str]]:
    """Yield the bits of wires with their names, the best of each last: one of our source before one of Amaranth, then short."""
    found = []
    for wire, bits in wires:
        for index, bit in enumerate(bits):
            if isinstance(bit, int):
                found.append((wire.startswith("$"), len(wire), wire, index, bit, len(bits) > 1))
    for _, _, wire, index, bit, is_wide in sorted(found, reverse=True):
        yield bit, f"{wire}[{index}]" if is_wide else wire
