"""The memory models by name, and the one question the time model asks of them: the first cycle a channel is open."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.timing import STALL_RATE
from hwsim.compiled import compiled_part
from hwsim.errors import ConfigError, shown
from hwsim.memory.hbm2 import channel_states, first_refresh, law_of, side_state
from hwsim.memory.parameters import hbm2_facts, hbm2_parameters
from hwsim.sourced import Sourced

__all__ = ["HBM2", "IDEAL", "Channels", "MemoryKind", "MemoryModel", "first_open", "gap", "hbm2", "memory_model", "stalling"]

Channels = tuple[int, int, np.ndarray, np.ndarray, np.ndarray]
"""What the compiled time model carries through a run: kind, seed; of `hbm2`, law, states of the streams and of the side port."""


class MemoryKind(enum.IntEnum):
    """Which law a memory follows."""

    IDEAL = 0
    """Every channel is open in every cycle."""
    STALLING = 1
    """Channels are held down by `gap`."""
    HBM2 = 2
    """Addresses are always taken; beats and responses come when a pseudo channel has them."""


_LAWS = (MemoryKind.IDEAL, MemoryKind.STALLING, MemoryKind.HBM2)
"""Kinds that `channels` and `first_open` know: for the compiled code any other would be as ideal memory."""
_NOTHING = np.zeros(0, dtype=np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """One memory model.

    `seed` (0 .. 2**31 - 1) chooses the gaps of `stalling`, and delays the refreshes of `hbm2` by so many memory clocks.
    """

    kind: MemoryKind
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 31:
            raise ConfigError(f"Memory seed must be 0 to {(1 << 31) - 1}, not {shown(self.seed)}")

    @property
    def are_ports_alike(self) -> bool:
        """Whether every stream port takes each address in the same cycle, so that one port's requests stand for all."""
        return self.kind is not MemoryKind.STALLING

    @property
    def has_clock(self) -> bool:
        """Whether it has a clock of its own, so that the cycles of a run depend on the engine's."""
        return self.kind is MemoryKind.HBM2

    @property
    def facts(self) -> Mapping[str, Sourced[Any]]:
        """Numbers with a source that its law is made of; none where the law is of no real memory."""
        return hbm2_facts() if self.kind is MemoryKind.HBM2 else {}

    def channels(self, config: EngineConfig) -> Channels:
        """Return the memories of an engine at the start of a run; raise ConfigError for a clock `hbm2` cannot have."""
        if self.kind not in _LAWS:
            raise ConfigError(f"Memory model {self.kind.name.lower()} must have a law in hwsim/memory/models.py")
        if self.kind is not MemoryKind.HBM2:
            return int(self.kind), self.seed, _NOTHING, _NOTHING, _NOTHING
        law, ports = law_of(hbm2_parameters(), config), config.tile.ports
        states = channel_states([first_refresh(hbm2_parameters().t_refi, ports, port, self.seed) for port in range(ports)])
        return int(self.kind), self.seed, law, states, side_state(law, ports, self.seed)

    def __str__(self) -> str:
        return self.kind.name.lower() + (f":{self.seed}" if self.kind is MemoryKind.STALLING or self.seed else "")


IDEAL = MemoryModel(kind=MemoryKind.IDEAL)
"""Fixed latency, full rate."""
HBM2 = MemoryModel(kind=MemoryKind.HBM2)
"""Pseudo channels of an HBM2 stack, one a port."""


def stalling(seed: int) -> MemoryModel:
    """Return the model with random gaps chosen by `seed`."""
    return MemoryModel(kind=MemoryKind.STALLING, seed=seed)


def hbm2(seed: int) -> MemoryModel:
    """Return `HBM2` with every refresh later by `seed` memory clocks, modulo the refresh interval."""
    return MemoryModel(kind=MemoryKind.HBM2, seed=seed)


def memory_model(text: str) -> MemoryModel:
    """Return the model of a name: `ideal`, `stalling`, `hbm2`, the last two also with `:SEED`; raise ConfigError."""
    name, _, seed = text.partition(":")
    if name == "ideal" and not seed:
        return IDEAL
    if name in ("stalling", "hbm2") and (seed.isdecimal() or text == name):
        return (stalling if name == "stalling" else hbm2)(int(seed or 0))
    raise ConfigError(f"Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not {shown(text)}")


@compiled_part
def gap(seed: int, port: int, channel: int, cycle: int) -> bool:
    """Return whether `channel` of `port` is held down in `cycle`; ports 0 .. P-1 are streams, P is the side port."""
    word = 0xFFFFFFFF
    x = ((cycle * 0x9E3779B1) & word) ^ (((seed + port * 8 + channel) * 0x85EBCA77) & word)
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & word
    x ^= x >> 12
    x = (x * 0x297A2D39) & word
    x ^= x >> 15
    return (x & 0xFF) < STALL_RATE


@compiled_part
def first_open(kind: int, seed: int, port: int, channel: int, cycle: int) -> int:
    """Return the first cycle from `cycle` on in which `channel` of `port` is not held down."""
    if kind == 1:
        while gap(seed, port, channel, cycle):
            cycle += 1
    return cycle
