"""Storage: flash arrays, drives as their host sees them, and drives that compute beside their flash."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np

from hwsim.offload.devices.device import Device, Family, assumed
from hwsim.offload.pcie import PcieLink
from hwsim.reader import Limits
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, Hertz, OperationsPerSecond, Seconds, Watts

__all__ = ["CSDS", "DRIVES", "FLASH", "ArrayShare", "Csd", "Drive", "Flash"]

_RANDOM_BYTES = 4096
"""What one random access moves."""


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArrayShare:
    """What several drives that are read together give, over their number times the nominal rate of one."""

    drives: Count
    share: Annotated[float, Limits(above=0)]

    def __str__(self) -> str:
        return f"{self.share:g} of {self.drives}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drive(Device):
    """A drive; rates are sequential and nominal unless their source says otherwise."""

    subject: ClassVar[str] = "Drive"
    folder: ClassVar[str] = "drives"

    capacity: Sourced[Bytes] | None = None
    """Capacity for data."""
    link: Sourced[PcieLink] | None = None
    """Link to its host."""
    read_rate: Sourced[BytesPerSecond]
    """Rate of large reads."""
    write_rate: Sourced[BytesPerSecond] | None = None
    """Rate of large writes."""
    measured_read_rate: Sourced[BytesPerSecond] | None = None
    """Rate that a benchmark of files got from one drive."""
    file_share: Sourced[Annotated[float, Limits(above=0)]] = assumed(0.136, "as FlexGen on InstInfer's 980 Pro reads its cache")
    """Part of `read_rate` that tensors reach which are mapped files, as FlexGen reads them; above 1 where the host keeps pages."""
    buffered_shares: Sourced[tuple[ArrayShare, ...]] | None = None
    """What several drives give to a program whose buffers are in host memory, over their number times `read_rate`."""
    direct_shares: Sourced[tuple[ArrayShare, ...]] | None = None
    """What several drives give without such buffers, over their number times `read_rate`."""
    random_reads: Sourced[Hertz] | None = None
    """Reads of 4 KiB per second."""
    random_writes: Sourced[Hertz] | None = None
    """Writes of 4 KiB per second."""
    price: Sourced[Dollars] | None = assumed(Dollars(400.0), "as HILOS (arXiv 2502.09921) counts a drive")
    """Price of one."""
    power: Sourced[Watts] = assumed(Watts(9.0), "between drives of its kind")
    """Most power that it is said to draw."""
    writes_per_day: Sourced[float] | None = None
    """Times that its capacity may be written each day."""
    erase_cycles: Sourced[Count] | None = None
    """Times that a block may be erased."""

    def __post_init__(self) -> None:
        self.require_rates_of(self.link, "read_rate", "write_rate", "measured_read_rate")
        if self.random_reads is not None:
            reads = self.random_reads.value
            is_right = BytesPerSecond(reads.value * _RANDOM_BYTES) <= self.read_rate.value
            self.require(is_right, "random_reads", "at most read_rate in reads of 4 KiB", f"{reads.to('kHz'):g} kHz")

    @property
    def file_rate(self) -> BytesPerSecond:
        """Rate of reads of tensors that are mapped files."""
        return self.read_rate.value * self.file_share.value

    @property
    def store_rate(self) -> BytesPerSecond:
        """Rate of large writes; where nobody stated it, that of reads."""
        return (self.write_rate or self.read_rate).value

    def array_rate(self, drives: int, *, is_direct: bool) -> BytesPerSecond:
        """Return the rate of reads of so many drives: by the law through what was measured of several, or that of one times it."""
        measured = self.direct_shares if is_direct else self.buffered_shares
        if measured is None:
            return (self.measured_read_rate or self.read_rate).value * float(drives)
        alone, more = _law([(float(entry.drives), entry.share) for entry in measured.value])
        return self.read_rate.value * (drives / (alone + more * (drives - 1)))


def _law(measured: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return a and b of the law 1 / (a + b (n - 1)) through shares that n drives reach of n times the rate of one.

    A byte takes n drives 1 / n of the time that it takes one, and besides a time that more drives do not shorten. Least squares of
    relative errors, with b from 0 (drives that do not disturb one another) to a (more of them are no faster).
    """
    drives, shares = np.array(measured).T
    columns = np.stack([shares, shares * (drives - 1)], axis=1)
    alone, more = np.linalg.lstsq(columns, np.ones(len(shares)))[0] if len(shares) > 1 else (1 / shares[0], 0.0)
    if more < 0 or more > alone:
        # The end of the range that is nearer: then one unknown is left.
        column = shares if more < 0 else shares * drives
        alone = column.sum() / (column**2).sum()
        more = 0.0 if more < 0 else alone
    return float(alone), float(more)


DRIVES = Family(Drive)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Csd(Device):
    """A drive with an engine; one direction where a rate has two."""

    subject: ClassVar[str] = "CSD"
    folder: ClassVar[str] = "csds"
    references: ClassVar[tuple[str, ...]] = ("flash",)

    flash: str | None = None
    """Its flash array, by name."""
    capacity: Sourced[Bytes] | None = None
    """Capacity for data."""
    link: Sourced[PcieLink] | None = None
    """Link to the host or to a GPU."""
    link_rate: Sourced[BytesPerSecond] | None = None
    """Highest rate of data over the link."""
    internal_rate: Sourced[BytesPerSecond] | None = None
    """Highest rate from flash to the engine."""
    used_rate: Sourced[BytesPerSecond] | None = None
    """Rate from flash to the engine, as a publication reports it of a run."""
    memory: Sourced[Bytes] | None = None
    """Memory beside the engine."""
    memory_rate: Sourced[BytesPerSecond] | None = None
    """Rate of that memory."""
    clock: Sourced[Hertz] | None = None
    """Clock of the engine."""
    gemv_rate: Sourced[OperationsPerSecond] | None = None
    """Rate of matrix times vector, one path of the engine, on one head and 16 tokens."""
    filter_rate: Sourced[BytesPerSecond] | None = None
    """Rate of the filter in a flash controller that drops what attention does not read."""
    lut: Sourced[Count] | None = None
    """Look-up tables of the device."""
    dsp: Sourced[Count] | None = None
    """DSP slices of the device."""
    bram36: Sourced[Count] | None = None
    """Block RAMs of 36 kbit of the device."""
    price: Sourced[Dollars] | None = assumed(Dollars(2400.0), "as HILOS (arXiv 2502.09921) counts a SmartSSD")
    """Price of one."""
    power: Sourced[Watts] = assumed(Watts(25.0), "what a U.2 slot gives")
    """Most power that the drive draws, its engine included."""
    engine_power: Sourced[Watts] | None = None
    """Power of the engine."""
    area_mm2: Sourced[float] | None = None
    """Area of the engine on the controller's chip."""
    endurance: Sourced[Bytes] | None = None
    """Bytes that may be written in its life."""
    least_price: Sourced[Dollars] | None = None
    """Lower end of its price, where sources differ."""

    def __post_init__(self) -> None:
        if self.flash is not None:
            FLASH.load(self.flash)
        self.require_rates_of(self.link, "link_rate")
        if self.internal_rate is not None and self.used_rate is not None:
            used = self.used_rate.value
            self.require(used <= self.internal_rate.value, "used_rate", "at most internal_rate", f"{used.to('GB/s'):g} GB/s")

    @property
    def array(self) -> Flash | None:
        """Its flash array, where there is a file of it."""
        return None if self.flash is None else FLASH.load(self.flash)


CSDS = Family(Csd)
