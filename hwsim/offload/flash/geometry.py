"""The flash of a drive: channels, dies behind each, planes in each, the page, its times, and the rates that follow from them."""

from dataclasses import dataclass, field, fields
from typing import cast

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError, shown
from hwsim.units import Bytes, BytesPerSecond, Quantity, Seconds, Value, maximum, minimum

__all__ = ["Count", "Geometry", "die_period", "die_rate", "drive_rate"]

Count = int | npt.NDArray[np.int64]
"""A whole number, or one for every point of a grid."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Flash of a drive. Fields may be arrays that broadcast: the object is then a grid of drives, which the rates alone take.

    A die is what takes one command at a time (a LUN). Its array moves up to `planes` pages at once between cells and page
    register, and the bus of its channel moves one page at a time between die and controller.

    Raises:
        SpecError: a count below one, a size, time or rate that is not positive, or a quantity of the wrong kind.
    """

    channels: Count
    """Buses that work at the same time."""
    ways: Count
    """Packages behind a channel."""
    dies: Count = 1
    """Dies in a package."""
    planes: Count
    """Pages that a die senses or programs at once."""
    page: Bytes
    """Data of a page, without spare area."""
    sense: Seconds
    """Time from a read command to a full page register (tR)."""
    program: Seconds
    """Time from full registers to programmed cells (tPROG)."""
    bus: BytesPerSecond
    """Rate of a channel's bus while it moves data."""
    command: Seconds = field(default_factory=lambda: Seconds(0.0))
    """Bus time for commands and addresses, per page. MQSim's ONFI NV-DDR2 channel gives 290 ns for a single-plane read and 30 ns
    of set-up before its data leave (`ONFI_Channel_NVDDR2`: tCS + 6 tWC + tWB + tRR, tRPRE + tDQSRE)."""
    has_cache_register: bool = True
    """Whether a die has a second register a plane, so that its array works while the bus moves the pages before (or after)."""

    def __post_init__(self) -> None:
        for name in ("channels", "ways", "dies", "planes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not np.issubdtype(np.asarray(value).dtype, np.integer):
                raise SpecError(f"Flash {name} must be a whole number, not {shown(value)}")
            if not np.all(np.asarray(value) >= 1):
                raise SpecError(f"Flash {name} must be at least 1, not {shown(value)}")
        for name, kind in (
            ("page", Bytes),
            ("sense", Seconds),
            ("program", Seconds),
            ("bus", BytesPerSecond),
            ("command", Seconds),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise SpecError(f"Flash {name} must be {kind.__name__}, not {shown(value)}")
            if not np.all(np.isfinite(value.value)):
                raise SpecError(f"Flash {name} must be finite, not {shown(value)}")
            if name != "command" and not np.all(np.asarray(value.value) > 0):
                raise SpecError(f"Flash {name} must be above zero, not {shown(value)}")
        if not np.all(np.asarray(self.command.value) >= 0):
            raise SpecError(f"Flash command must be zero or more, not {shown(self.command)}")

    @property
    def dies_per_channel(self) -> Count:
        """Dies that share a bus."""
        return self.ways * self.dies

    @property
    def total_dies(self) -> Count:
        """Dies of the drive."""
        return self.channels * self.dies_per_channel

    @property
    def transfer(self) -> Seconds:
        """Bus time of a page's data."""
        return self.page / self.bus

    @property
    def is_one(self) -> bool:
        """Whether this is one drive, not a grid of them."""
        values = (getattr(self, each.name) for each in fields(self))
        return all(np.ndim(value.value if isinstance(value, Quantity) else value) == 0 for value in values)


def die_period(geometry: Geometry, *, is_program: bool = False) -> Seconds:
    """Return the time from one whole plane group of a die to the next, its bus being free.

    With a cache register the array and the bus overlap: P c + max(tR, P x) for reads, whose command the array waits for, and
    max(tPROG, P (c + x)) for programs, with planes P and bus times x of a page's data and c of its command. Without one they add.
    """
    moving = geometry.transfer * cast(Value, geometry.planes)
    commands = geometry.command * cast(Value, geometry.planes)
    if is_program:
        coming = commands + moving
        return maximum(geometry.program, coming) if geometry.has_cache_register else geometry.program + coming
    if geometry.has_cache_register:
        return commands + maximum(geometry.sense, moving)
    return commands + geometry.sense + moving


def die_rate(geometry: Geometry, *, is_program: bool = False) -> BytesPerSecond:
    """Return the long-run rate of one die with the bus to itself.

    It is P page / tR (or tPROG) where the array is the slower part and commands take no time.
    """
    return geometry.page * cast(Value, geometry.planes) / die_period(geometry, is_program=is_program)


def drive_rate(geometry: Geometry, *, is_program: bool = False) -> BytesPerSecond:
    """Return the long-run rate of all channels: the lesser of the buses and of the dies behind them.

    It is exact for sequential streams of one kind over all channels, dies and planes where commands take no bus time, and an upper
    bound with them: a command may come to a busy bus.
    """
    bus = geometry.page / (geometry.transfer + geometry.command)
    dies = die_rate(geometry, is_program=is_program) * cast(Value, geometry.dies_per_channel)
    return minimum(bus, dies) * cast(Value, geometry.channels)
