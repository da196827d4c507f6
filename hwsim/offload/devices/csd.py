"""Computational storage: drives that compute beside their flash."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from hwsim.offload.devices.device import Device, Family, assumed
from hwsim.offload.devices.flash import FLASH, Flash
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Dollars, Hertz, OperationsPerSecond, Watts

__all__ = ["CSDS", "Csd"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Csd(Device):
    """A drive with an engine; one direction where a rate has two."""

    subject: ClassVar[str] = "CSD"
    folder: ClassVar[str] = "csds"

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
