"""A board as data: its part, what it has and what its shell leaves free in each SLR, its HBM; every number with its source."""

from __future__ import annotations

import dataclasses
import typing

from hwsim.arch.spec_files import SpecFiles
from hwsim.arch.spec_objects import spec_object
from hwsim.errors import SpecError
from hwsim.sourced import Sourced

__all__ = ["RESOURCES", "Board", "Fill", "Hbm", "Resources", "Slr", "board_names", "load_board"]

RESOURCES = ("lut", "ff", "bram36", "uram", "dsp")
"""The kinds of resource a board is measured in: look-up tables, flip-flops, 36-kbit block RAMs, UltraRAMs, DSP slices."""

_FILES = SpecFiles("Board", "boards", SpecError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """Counts of a device."""

    lut: int
    ff: int
    bram36: int
    uram: int
    dsp: int

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board; `hwsim/specs/boards` holds those that are shipped."""

    name: str
    title: str
    """Its name as people write it."""
    part: Sourced[str]
    """Part name for synthesis."""
    shells: Sourced[tuple[str, ...]]
    """Platform names for the linker."""
    device: Sourced[Resources]
    """The whole device."""
    fill: Sourced[Fill]
    slrs: Sourced[tuple[Slr, ...]]
    """From the bottom up."""
    hbm: Sourced[Hbm]

    def __post_init__(self) -> None:
        for resource in RESOURCES:
            if self.free(resource) > self.device.value.count(resource):
                raise SpecError(f"Board {self.name} slrs must have at most the {resource} of the device, not more")
        if self.hbm.value.slr not in [slr.name for slr in self.slrs.value]:
            raise SpecError(f"Board {self.name} hbm.slr must be one of its SLRs, not {self.hbm.value.slr!r}")

    def free(self, resource: str) -> int:
        """Return what all SLRs together leave free for kernels of one of RESOURCES."""
        return sum(slr.count(resource) for slr in self.slrs.value)

    def limit(self, resource: str) -> int:
        """Return how many of one of RESOURCES may be used: the fill share of the device."""
        return int(self.device.value.count(resource) * self.fill.value.share(resource))


def board_names() -> list[str]:
    """Return the names of the shipped boards."""
    return _FILES.names()


def load_board(name: str) -> Board:
    """Return a shipped board by name, or the board in a YAML file by path; raise SpecError."""
    return typing.cast(Board, spec_object(Board, _FILES.read(name), "Board"))
