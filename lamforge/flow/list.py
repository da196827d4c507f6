"""What ships, by kind and name, with a line on each."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest

__all__ = ["KINDS", "Catalogue", "Entry", "list"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that ships: its name, and what it is in a line."""

    name: str
    title: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything of a kind that ships, in alphabetical order or, of methods and patterns, in that of their table."""

    kind: str
    entries: tuple[Entry, ...]


def list(kind: str) -> Catalogue:
    """List what ships of a kind: what can be given by name wherever one is asked for.

    kind: one of KINDS, such as `engines`.

    Raises:
        SpecError: there is no such kind.
    """
    if kind not in KINDS:
        raise SpecError(f"Kind to list must be {nearest(kind, KINDS)}, not {shown(kind)}")
    return Catalogue(kind=kind, entries=tuple(Entry(name=name, title=title) for name, title in KINDS[kind]()))


Titles = Iterator[tuple[str, str]]


def _engines() -> Titles:
    from hwsim.arch.config import engine_names, load_engine

    for name in engine_names():
        engine = load_engine(name)
        tile = engine.tile
        ports = f"{tile.ports} ports of {tile.port_bits} bits at {engine.clock_hz / 1e6:g} MHz"
        yield name, f"{ports}, {tile.slices} slices, {tile.tokens} token rows"


def _boards() -> Titles:
    from hwsim.arch.board import board_names, load_board

    return ((name, load_board(name).title) for name in board_names())


def _models() -> Titles:
    from models.checkpoint import shipped

    return ((name, f"checkpoint in the package {shipped.distribution(name)}") for name in shipped.NAMES)


def _recipes() -> Titles:
    """Take the first sentence of each file, which is a comment: recipes themselves would load PyTorch."""
    return _commented(resources.files("models") / "recipes")


def _commented(folder: Traversable) -> Titles:
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    for file in sorted(files, key=lambda entry: entry.name):
        lines = file.read_text(encoding="utf-8").splitlines()
        comment = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
        yield file.name.removesuffix(".yaml"), comment.partition(". ")[0].rstrip(".")


def _networks() -> Titles:
    from models.zoo import names, network

    for name in names():
        sizes = network(name)
        yield name, f"{sizes.layers} layers of {sizes.hidden}, {sizes.weights / 1e9:.3g} billion weights"


def _systems() -> Titles:
    from hwsim.offload.systems import names, system

    return ((name, system(name).title) for name in names())


def _devices() -> Titles:
    from hwsim.offload.devices import FAMILIES

    return ((device.name, f"{family.subject}: {device.title}") for family in FAMILIES for device in family.all())


def _patterns() -> Titles:
    from models.attention import PATTERNS

    return ((name, _first_line(kind).rstrip(".")) for name, kind in PATTERNS.items())


def _methods() -> Titles:
    from models.compress.methods import METHODS

    return ((name, _first_line(kind).rstrip(".")) for name, kind in METHODS.items())


def _studies() -> Titles:
    """Take the first sentence of each file, which is a comment."""
    return _commented(resources.files("lamforge.explore") / "studies")


def _formats() -> Titles:
    from hwsim.arch.formats import WEIGHT_FORMATS

    return ((format.name.lower(), _first_line(packer)) for format, packer in WEIGHT_FORMATS.items())


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


KINDS: Mapping[str, Callable[[], Titles]] = {
    "engines": _engines,
    "boards": _boards,
    "models": _models,
    "recipes": _recipes,
    "networks": _networks,
    "systems": _systems,
    "devices": _devices,
    "patterns": _patterns,
    "methods": _methods,
    "formats": _formats,
    "studies": _studies,
}
"""What gives the names and lines of each kind."""
