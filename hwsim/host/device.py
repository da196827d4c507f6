"""What the host code needs of a device: registers, buffers in the memories behind the engine's ports, an interrupt, time."""

import dataclasses
from typing import Protocol

import numpy as np

__all__ = ["SIDE", "Buffer", "Device", "Place"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """The memory that a buffer lies in: that of a stream port, or the side port's where `port` is None."""

    port: int | None

    def __str__(self) -> str:
        return "the side memory" if self.port is None else f"the memory of port {self.port}"


SIDE = Place(port=None)


class Buffer(Protocol):
    """Bytes in a device's memory, which both the host and the engine see; the engine at `address`."""

    @property
    def address(self) -> int:
        """Byte address for the engine's ports."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def write(self, offset: int, content: np.ndarray) -> None:
        """Put uint8 [bytes] at an offset, so that the engine reads them from now on."""
        ...

    def read(self, offset: int, size: int) -> np.ndarray:
        """Return uint8 [size] from an offset, with what the engine wrote."""
        ...


class Device(Protocol):
    """A machine with an engine in it. What it cannot do it refuses with a MachineError."""

    name: str

    def read_register(self, offset: int) -> int:
        """Return the 32-bit register at a byte offset."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write the 32-bit register at a byte offset."""
        ...

    def allocate(self, place: Place, size: int) -> Buffer:
        """Return a new buffer at an address that is a multiple of 4096."""
        ...

    def watch_interrupt(self) -> None:
        """Take notice of interrupts from now on, so that one that comes before it is waited for is not lost."""
        ...

    def wait_interrupt(self, timeout_s: float) -> bool:
        """Wait until the interrupt output is up or came up; return whether it did in time."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def now_s(self) -> float:
        """Return seconds since some moment of the past, by the clock that timeouts are meant in."""
        ...

    def reset(self) -> None:
        """Bring the engine into the state after power-up: its registers are lost, memory stays."""
        ...

    def close(self) -> None:
        """Give the device back; buffers are gone."""
        ...
