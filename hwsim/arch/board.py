"""A board as data: its part, what it has and what its shell leaves free in each SLR, its HBM; every number with its source."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from hwsim.arch.spec_files import SpecFiles, field_names
from hwsim.errors import SpecError

__all__ = ["RESOURCES", "SOURCE_KINDS", "Board", "Fill", "Hbm", "Name", "Resources", "Slr", "Source", "board_names", "load_board"]

RESOURCES = ("lut", "ff", "bram36", "uram", "dsp")
"""The kinds of resource a board is measured in: look-up tables, flip-flops, 36-kbit block RAMs, UltraRAMs, DSP slices."""
SOURCE_KINDS = ("datasheet", "measured", "paper", "assumed")
"""How well a number is founded."""

_FILES = SpecFiles("Board", "boards", SpecError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where numbers come from."""

    kind: str
    """One of SOURCE_KINDS."""
    text: str
    """Document, page or reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Name:
    """A name in the vendor's tools."""

    name: str
    source: str
    """Key of the board's `sources`; so in every class below."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """Counts of a device."""

    lut: int
    ff: int
    bram36: int
    uram: int
    dsp: int
    source: str

    def count(self, resource: str) -> int:
        """Return the count of one of RESOURCES."""
        return typing.cast(int, getattr(self, resource))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slr(Resources):
    """What one super logic region leaves free for kernels."""

    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fill:
    """Shares of a device above which timing becomes hard to close, 0 to 1."""

    lut: float
    ff: float
    bram36: float
    uram: float
    dsp: float
    source: str

    def share(self, resource: str) -> float:
        """Return the share of one of RESOURCES."""
        return typing.cast(float, getattr(self, resource))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hbm:
    """The high-bandwidth memory."""

    pseudo_channels: int
    channel_bytes: int
    """Bytes of one pseudo channel."""
    channel_bytes_per_s: float
    """Peak rate of one pseudo channel."""
    slr: str
    """Name of the SLR it is reached through."""
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board; `hwsim/specs/boards` holds those that are shipped."""

    name: str
    title: str
    """Its name as people write it."""
    part: Name
    """Part name for synthesis."""
    shells: tuple[Name, ...]
    """Platform names for the linker."""
    device: Resources
    """The whole device."""
    fill: Fill
    slrs: tuple[Slr, ...]
    """From the bottom up."""
    hbm: Hbm
    sources: dict[str, Source]

    def __post_init__(self) -> None:
        for resource in RESOURCES:
            if sum(slr.count(resource) for slr in self.slrs) > self.device.count(resource):
                raise SpecError(f"Board {self.name} slrs must have at most the {resource} of the device, not more")
        if self.hbm.slr not in [slr.name for slr in self.slrs]:
            raise SpecError(f"Board {self.name} hbm.slr must be one of its SLRs, not {self.hbm.slr!r}")
        for key, source in self.sources.items():
            if source.kind not in SOURCE_KINDS:
                kinds = ", ".join(SOURCE_KINDS)
                raise SpecError(f"Board {self.name} sources.{key}.kind must be one of {kinds}, not {source.kind!r}")
        items: tuple[Name | Resources | Fill | Hbm, ...] = (self.part, *self.shells, self.device, self.fill, *self.slrs, self.hbm)
        for item in items:
            if item.source not in self.sources:
                raise SpecError(f"Board {self.name} source must be one of {', '.join(self.sources)}, not {item.source!r}")

    def free(self, resource: str) -> int:
        """Return what all SLRs together leave free for kernels of one of RESOURCES."""
        return sum(slr.count(resource) for slr in self.slrs)

    def limit(self, resource: str) -> int:
        """Return how many of one of RESOURCES may be used: the fill share of the device."""
        return int(self.device.count(resource) * self.fill.share(resource))


def board_names() -> list[str]:
    """Return the names of the shipped boards."""
    return _FILES.names()


def load_board(name: str) -> Board:
    """Return a shipped board by name, or the board in a YAML file by path; raise SpecError."""
    return typing.cast(Board, _build(Board, _FILES.read(name), "Board"))


def _build(kind: Any, data: object, where: str) -> Any:
    """Return plain values as an object of the type `kind`, field by field."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        fields = typing.cast(dict[str, object], data)
        names, hints = field_names(kind, data, where, SpecError), typing.get_type_hints(kind)
        return kind(**{name: _build(hints[name], fields[name], f"{where} {name}") for name in names})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        if not isinstance(data, list) or not data:
            raise SpecError(f"{where} must be a list, not {data!r}")
        return tuple(_build(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            raise SpecError(f"{where} must be a mapping, not {data!r}")
        return {str(key): _build(arguments[1], value, f"{where}.{key}") for key, value in data.items()}
    if kind is str:
        if not isinstance(data, str) or not data:
            raise SpecError(f"{where} must be text, not {data!r}")
        return data
    allowed = (int,) if kind is int else (int, float)
    if not isinstance(data, allowed) or isinstance(data, bool) or data < 0:
        raise SpecError(f"{where} must be {'an integer' if kind is int else 'a number'} of at least 0, not {data!r}")
    return kind(data)
