"""The memory models by name, and the one question the time model asks of them: the first cycle a channel is open."""

from __future__ import annotations

import dataclasses
import enum

import numba

from hwsim.errors import ConfigError
from hwsim.memory.stalling import gap

__all__ = ["IDEAL", "MemoryKind", "MemoryModel", "first_open", "memory_model", "stalling"]


class MemoryKind(enum.IntEnum):
    """Which law a memory follows."""

    IDEAL = 0
    """Every channel is open in every cycle."""
    STALLING = 1
    """Channels are held down by `gap`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """One memory model; `seed` (0 .. 2**31 - 1) chooses the gaps of `stalling`."""

    kind: MemoryKind
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 31:
            raise ConfigError(f"Memory seed must be 0 to {(1 << 31) - 1}, not {self.seed!r}")

    @property
    def are_ports_alike(self) -> bool:
        """Whether every stream port behaves as port 0, so that one stands for all."""
        return self.kind is MemoryKind.IDEAL

    def __str__(self) -> str:
        return "ideal" if self.kind is MemoryKind.IDEAL else f"{self.kind.name.lower()}:{self.seed}"


IDEAL = MemoryModel(kind=MemoryKind.IDEAL)
"""Fixed latency, full rate."""


def stalling(seed: int) -> MemoryModel:
    """Return the model with random gaps chosen by `seed`."""
    return MemoryModel(kind=MemoryKind.STALLING, seed=seed)


def memory_model(text: str) -> MemoryModel:
    """Return the model named `ideal`, `stalling` or `stalling:SEED`; raise ConfigError for another text."""
    name, _, seed = text.partition(":")
    if name == "ideal" and not seed:
        return IDEAL
    if name == "stalling" and (seed.isdecimal() or not seed):
        return stalling(int(seed or 0))
    raise ConfigError(f"Memory model must be ideal, stalling or stalling:SEED, not {text!r}")


@numba.njit(inline="never")
def first_open(kind: int, seed: int, port: int, channel: int, cycle: int) -> int:
    """Return the first cycle from `cycle` on in which `channel` of `port` is not held down."""
    if kind == 1:
        while gap(seed, port, channel, cycle):
            cycle += 1
    return cycle
