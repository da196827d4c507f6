"""GPUs: memory, rates, power and the link to the host."""

from __future__ import annotations

import dataclasses

from hwsim.offload.devices.device import Device, Family, refuse_unless
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, OperationsPerSecond, Watts

__all__ = ["GPUS", "Gpu"]

_OPERATIONS_PER_BYTE = (10, 2000)
"""Balance of arithmetic and memory that GPUs have had; outside it a unit is wrong."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu(Device):
    """A GPU; rates are peaks."""

    memory: Sourced[Bytes]
    """On the card."""
    memory_rate: Sourced[BytesPerSecond]
    """Of its memory."""
    fp16_rate: Sourced[OperationsPerSecond]
    """Dense products of FP16, accumulated in FP32."""
    fp16_short_rate: Sourced[OperationsPerSecond] | None = None
    """The same accumulated in FP16, where that is faster."""
    multiprocessors: Sourced[Count] | None = None
    """Units that work on thread blocks side by side."""
    power: Sourced[Watts]
    """Most that it is made to draw."""
    host_link: Sourced[PcieLink]
    """To its host."""
    cache: Sourced[Bytes] | None = None
    """Last level on the chip."""

    def __post_init__(self) -> None:
        least, most = _OPERATIONS_PER_BYTE
        balance = float(self.fp16_rate.value.value / self.memory_rate.value.value)
        refuse_unless(
            least <= balance <= most,
            f"GPU {self.name} fp16_rate",
            f"{least} to {most} operations per byte of memory_rate",
            f"{balance:g}",
        )
        if self.fp16_short_rate is not None:
            refuse_unless(
                self.fp16_short_rate.value >= self.fp16_rate.value,
                f"GPU {self.name} fp16_short_rate",
                "at least fp16_rate",
                f"{self.fp16_short_rate.value.to('TFLOP/s'):g} TFLOP/s",
            )


GPUS = Family("GPU", "gpus", Gpu)
