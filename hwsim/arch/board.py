"""A board as data: its part, its resources, its memory, price, power and energy constants; every number with its source."""

import dataclasses
import functools
import typing
from typing import Annotated

from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError, shown
from hwsim.reader import NAME, Limits, Matching, SpecFiles, read
from hwsim.sourced import Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, Watts

__all__ = ["RESOURCES", "Board", "EnergyConstants", "Fill", "Hbm", "Resources", "Slr", "board_names", "board_of", "load_board"]

RESOURCES = ("lut", "ff", "bram36", "uram", "dsp")
"""The kinds of resource a board is measured in: look-up tables, flip-flops, 36-kbit block RAMs, UltraRAMs, DSP slices."""

_FILES = SpecFiles("Board", "boards", SpecError)
_WORD = Matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "a word of at most 100 letters, digits, '_', '.' and '-'")
"""Names of the vendor's tools, which go into their scripts."""


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

    name: Annotated[str, _WORD]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fill:
    """Shares of a device above which timing becomes hard to close, 0 to 1."""

    lut: Annotated[float, Limits(above=0, most=1)]
    ff: Annotated[float, Limits(above=0, most=1)]
    bram36: Annotated[float, Limits(above=0, most=1)]
    uram: Annotated[float, Limits(above=0, most=1)]
    dsp: Annotated[float, Limits(above=0, most=1)]

    def share(self, resource: str) -> float:
        """Return the share of one of RESOURCES."""
        return typing.cast(float, getattr(self, resource))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hbm:
    """The high-bandwidth memory."""

    pseudo_channels: Annotated[int, Limits(1, 1024)]
    """Channels that an engine's ports may have, one each."""
    channel_bytes: Annotated[int, Limits(1, 1 << 40)]
    """Bytes of one pseudo channel."""
    channel_bytes_per_s: float
    """Peak rate of one pseudo channel."""
    slr: Annotated[str, _WORD]
    """Name of the SLR it is reached through."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyConstants:
    """Energies and powers of a board, and the size of an engine by its multipliers."""

    memory_j_per_bit: Sourced[float]
    """A bit moved, in the memory device."""
    interface_j_per_bit: Sourced[float]
    """A bit moved, in the memory's controller, PHY and switch."""
    ram_j_per_access: Sourced[float]
    """One access of up to 72 bits to an on-chip memory."""
    multiplier_j_per_operation: Sourced[float]
    """One operation of a DSP block."""
    lut_j_per_cycle: Sourced[float]
    """A look-up table at work for a cycle."""
    signal_j_per_cycle: Sourced[float]
    """The wires of a look-up table at work for a cycle."""
    register_j_per_cycle: Sourced[float]
    """A register for a cycle."""
    clock_j_per_register_cycle: Sourced[float]
    """A register's share of the clock trees for a cycle."""
    shell_w: Sourced[float]
    """Drawn all the time by the host interface."""
    static_w: Sourced[float]
    """Leakage of the chip and its memory."""
    card_w: Sourced[float]
    """Drawn all the time by what is on the card beside the chip."""
    regulator_efficiency: Sourced[Annotated[float, Limits(above=0, most=1)]]
    """Power of the chip, of what its regulators take."""
    luts_per_multiplier: Sourced[float]
    """Look-up tables around one multiplier."""
    registers_per_multiplier: Sourced[float]
    """Registers around one multiplier."""
    luts_fixed: Sourced[float]
    """Look-up tables of an engine that do not grow with its multipliers."""
    registers_fixed: Sourced[float]
    """Registers of an engine that do not grow with its multipliers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board; `hwsim/specs/boards` holds those that are shipped."""

    name: Annotated[str, NAME]
    """Name of a shipped board, or the user's; it goes into file names and scripts."""
    title: Annotated[str, Matching(r"[\w ().,+-]{1,80}", "a line of at most 80 letters, digits, spaces and ( ) . , + -")]
    """Its name as people write it."""
    part: Sourced[Annotated[str, _WORD]]
    """Part name for synthesis."""
    shells: Sourced[tuple[Annotated[str, _WORD], ...]]
    """Platform names for the linker."""
    device: Sourced[Resources]
    """The whole device."""
    fill: Sourced[Fill]
    """Shares of the device above which timing becomes hard to close."""
    slrs: Sourced[tuple[Slr, ...]]
    """From the bottom up."""
    hbm: Sourced[Hbm]
    """The high-bandwidth memory: its channels, and where it is reached."""
    slr_lines: Sourced[Annotated[int, Limits(1)]] | None = None
    """Super long lines over each boundary between neighbouring SLRs, of which the shell takes some."""
    slr_lines_fill: Sourced[Annotated[float, Limits(above=0, most=1)]] | None = None
    """Share of these lines above which a design becomes hard to route."""
    memory: Sourced[Bytes] | None = None
    """The high-bandwidth memory in all."""
    memory_rate: Sourced[BytesPerSecond] | None = None
    """Peak rate of the high-bandwidth memory."""
    price: Sourced[Dollars] | None = None
    """Price of one card."""
    power: Sourced[Watts] | None = None
    """Power of a card at work."""
    energy: EnergyConstants | None = None
    """What the energy estimate of an engine on the board takes."""

    def __post_init__(self) -> None:
        for resource in RESOURCES:
            if self.free(resource) > self.device.value.count(resource):
                raise SpecError(f"Board {self.name} slrs must have at most the {resource} of the device, not more")
        if self.hbm.value.slr not in [slr.name for slr in self.slrs.value]:
            raise SpecError(f"Board {self.name} hbm.slr must be one of its SLRs, not {shown(self.hbm.value.slr)}")
        hbm = self.hbm.value
        for fact, name, one in (
            (self.memory, "memory", hbm.channel_bytes),
            (self.memory_rate, "memory_rate", hbm.channel_bytes_per_s),
        ):
            if fact is not None and fact.value.value != one * hbm.pseudo_channels:
                raise SpecError(f"Board {self.name} {name} must be that of its {hbm.pseudo_channels} channels, not {fact.value}")

    def free(self, resource: str) -> int:
        """Return what all SLRs together leave free for kernels of one of RESOURCES."""
        return sum(slr.count(resource) for slr in self.slrs.value)

    def limit(self, resource: str) -> int:
        """Return how many of one of RESOURCES may be used: the fill share of the device."""
        return int(self.device.value.count(resource) * self.fill.value.share(resource))

    def slr_limit(self, slr: Slr, resource: str) -> float:
        """Return how many of one of RESOURCES may be used in an SLR: the fill share of what it leaves free."""
        return slr.count(resource) * self.fill.value.share(resource)

    @property
    def line_limit(self) -> int | None:
        """How many of the lines over a boundary between SLRs may be used; None where the board does not say."""
        return (
            None if self.slr_lines is None or self.slr_lines_fill is None else int(self.slr_lines.value * self.slr_lines_fill.value)
        )

    @property
    def memory_slr(self) -> int:
        """Number of the SLR that the memory is reached through."""
        return [slr.name for slr in self.slrs.value].index(self.hbm.value.slr)


def board_names() -> list[str]:
    """Return the names of the shipped boards."""
    return _FILES.names()


def load_board(name: str) -> Board:
    """Return a shipped board by name, or the board in a YAML file by path; raise SpecError."""
    return read(Board, _FILES.read(name), "Board", SpecError)


@functools.cache
def _shipped() -> tuple[Board, ...]:
    return tuple(map(load_board, board_names()))


def board_of(engine: EngineConfig) -> Board | None:
    """Return the shipped board that an engine is made for: the one with its memory, or with its name; None where there is none."""
    memory = (engine.tile.ports, engine.channel_bytes)
    named = [board for board in _shipped() if board.name == engine.name]
    fitting = [board for board in _shipped() if memory == (board.hbm.value.pseudo_channels, board.hbm.value.channel_bytes)]
    return next(iter([*(board for board in fitting if board in named), *fitting, *named]), None)
