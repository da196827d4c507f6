"""The facts of a board that a kernel package depends on, and the check that an engine fits it."""

import dataclasses
from typing import Self

from hwsim.arch.board import Board
from hwsim.arch.config import EngineConfig
from hwsim.errors import ConfigError

__all__ = ["TOOLS", "Target"]

TOOLS = "2023.x"
"""Versions of Vitis and Vivado the packages are written for: the last that know the U280."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A board, as the linker and the placer see it.

    Attributes:
        name, title: name of the board in files, and in texts.
        platform: Vitis platform to link against.
        part: Vivado's name of the device.
        slrs, memory_slr: SLRs in a row, and the one that the memory is at.
        channels, channel_bytes: pseudo channels of the memory, and the size of each.
    """

    name: str
    title: str
    platform: str
    part: str
    slrs: int
    memory_slr: int
    channels: int
    channel_bytes: int

    @classmethod
    def of(cls, board: Board) -> Self:
        """Return the facts of a board that a package depends on."""
        return cls(
            name=board.name,
            title=board.title,
            platform=board.shells.value[0],
            part=board.part.value,
            slrs=len(board.slrs.value),
            memory_slr=[slr.name for slr in board.slrs.value].index(board.hbm.value.slr),
            channels=board.hbm.value.pseudo_channels,
            channel_bytes=board.hbm.value.channel_bytes,
        )

    def check(self, engine: EngineConfig) -> None:
        """Raise ConfigError unless every stream port has a pseudo channel of its own, large enough."""
        if engine.tile.ports > self.channels:
            raise ConfigError(
                f"Engine {engine.name} must have at most {self.channels} ports for board {self.name}, not {engine.tile.ports}"
            )
        if engine.channel_bytes > self.channel_bytes:
            raise ConfigError(
                f"Engine {engine.name} must have at most {self.channel_bytes} bytes behind a port for board {self.name},"
                f" not {engine.channel_bytes}"
            )

    def is_made_for(self, engine: EngineConfig) -> bool:
        """Whether the engine has the board's memory exactly: a port for each pseudo channel, and its size."""
        return (engine.tile.ports, engine.channel_bytes) == (self.channels, self.channel_bytes)
