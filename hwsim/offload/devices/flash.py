"""Flash arrays: channels, dies and their times."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from hwsim.offload.devices.device import Device, Family
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Seconds

__all__ = ["FLASH", "Flash"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flash(Device):
    """A flash array behind a controller; a channel has ways, a way dies, a die planes."""

    subject: ClassVar[str] = "Flash array"
    folder: ClassVar[str] = "flash"

    channels: Sourced[Count] | None = None
    """Buses to the controller."""
    ways: Sourced[Count] | None = None
    """Packages that share a channel."""
    dies: Sourced[Count] | None = None
    """Dies of a way."""
    planes: Sourced[Count] | None = None
    """Planes of a die, which work in parallel."""
    page: Sourced[Bytes] | None = None
    """Page of one plane."""
    read_time: Sourced[Seconds] | None = None
    """Time from the array into the page register (tR)."""
    program_time: Sourced[Seconds] | None = None
    """Time from the page register into the array (tPROG)."""
    erase_time: Sourced[Seconds] | None = None
    """Time to erase a block (tBERS)."""
    bus_rate: Sourced[BytesPerSecond] | None = None
    """Rate of one channel."""

    def __post_init__(self) -> None:
        if self.page is not None:
            size = float(self.page.value.value)
            is_right = size >= 512 and math.log2(size).is_integer()
            self.require(is_right, "page", "a power of two from 512 B on", f"{size:g} B")
        steps = [(name, getattr(self, name)) for name in ("read_time", "program_time", "erase_time")]
        known = [(name, fact) for name, fact in steps if fact is not None]
        for (first, shorter), (second, longer) in zip(known, known[1:], strict=False):
            self.require(longer.value > shorter.value, second, f"longer than {first}", f"{longer.value.to('us'):g} us")


FLASH = Family(Flash)
