"""Drives: solid-state disks as their host sees them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from hwsim.offload.devices.device import Device, Family, assumed
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, Hertz, Watts

__all__ = ["DRIVES", "ArrayRate", "Drive"]

_RANDOM_BYTES = 4096
"""What one random access moves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArrayRate:
    """What several drives together give."""

    drives: int
    rate: BytesPerSecond

    def __str__(self) -> str:
        return f"{self.rate.to('GB/s'):g} GB/s of {self.drives}"


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
    buffered_rates: Sourced[tuple[ArrayRate, ...]] | None = None
    """Rates of reads of several drives by a program whose buffers are in host memory."""
    direct_rates: Sourced[tuple[ArrayRate, ...]] | None = None
    """Rates of reads of several drives without such buffers."""
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

    def array_rate(self, drives: int, *, is_direct: bool) -> BytesPerSecond:
        """Return the rate of reads of so many drives: measured for their number, or that of one times it."""
        measured = self.direct_rates if is_direct else self.buffered_rates
        rates = {entry.drives: entry.rate for entry in measured.value} if measured is not None else {}
        return rates.get(drives, (self.measured_read_rate or self.read_rate).value * float(drives))


DRIVES = Family(Drive)
