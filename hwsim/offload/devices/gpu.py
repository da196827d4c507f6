"""GPUs: memory, rates and what is reached of them, power and the link to the host."""

import dataclasses
from typing import Annotated, Any, ClassVar

from hwsim.offload.devices.device import SHARE, Device, Family, assumed
from hwsim.offload.gpu_time import GpuRates
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, OperationsPerSecond, Seconds, Watts

__all__ = ["GPUS", "Gpu"]

_OPERATIONS_PER_BYTE = (10, 2000)
"""Balance of arithmetic and memory that GPUs have had; outside it a unit is wrong."""

_NOT_MEASURED = "not measured on this GPU: between those that were"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu(Device):
    """A GPU; rates are peaks, shares what is reached of them."""

    subject: ClassVar[str] = "GPU"
    folder: ClassVar[str] = "gpus"

    memory: Sourced[Bytes]
    """Memory on the card."""
    memory_rate: Sourced[BytesPerSecond]
    """Peak rate of its memory."""
    fp16_rate: Sourced[OperationsPerSecond]
    """Peak of dense products of FP16, accumulated in FP32."""
    fp16_short_rate: Sourced[OperationsPerSecond] | None = None
    """Peak of the same accumulated in FP16, where that is faster."""
    multiprocessors: Sourced[Count]
    """Units that work on thread blocks side by side."""
    power: Sourced[Watts]
    """Most power that it is made to draw."""
    host_link: Sourced[PcieLink]
    """Link to its host."""
    peer_rate: Sourced[BytesPerSecond] | None = None
    """Rate one way to other GPUs of its host; over the host link where there is no other."""
    cache: Sourced[Bytes] | None = None
    """Size of the last level of cache on the chip."""
    product_share: Sourced[Annotated[float, SHARE]] = assumed(0.75, _NOT_MEASURED)
    """Part of `fp16_rate` that large products reach."""
    memory_share: Sourced[Annotated[float, SHARE]] = assumed(0.88, _NOT_MEASURED)
    """Part of `memory_rate` that products with few rows reach."""
    attention_share: Sourced[Annotated[float, SHARE]] = assumed(0.85, _NOT_MEASURED)
    """Part of `memory_rate` that is reached in attention of one query over a long cache."""
    prompt_attention_share: Sourced[Annotated[float, SHARE]] = assumed(0.58, _NOT_MEASURED)
    """Part of `fp16_rate` that is reached in attention of a long prompt over itself."""
    tile_step: Sourced[Count] = assumed(Count(128), "tiles of 128 x 128, 128 x 256 and 256 x 128")
    """Columns by which the widths of tiles of products differ."""
    launch: Sourced[Seconds] = assumed(Seconds(3e-6), _NOT_MEASURED)
    """Time that an operator takes besides moving its values or computing."""
    product_launch: Sourced[Seconds] = assumed(Seconds(5.5e-6), _NOT_MEASURED)
    """Time that a product takes besides reading its weights."""
    attention_launch: Sourced[Seconds] = assumed(Seconds(6.5e-6), _NOT_MEASURED)
    """Time that attention takes besides reading its cache."""

    def __post_init__(self) -> None:
        least, most = _OPERATIONS_PER_BYTE
        balance = float(self.fp16_rate.value.value / self.memory_rate.value.value)
        constraint = f"{least} to {most} operations per byte of memory_rate"
        self.require(least <= balance <= most, "fp16_rate", constraint, f"{balance:g}")
        if self.fp16_short_rate is not None:
            short = self.fp16_short_rate.value
            is_right = short >= self.fp16_rate.value
            self.require(is_right, "fp16_short_rate", "at least fp16_rate", f"{short.to('TFLOP/s'):g} TFLOP/s")

    def rates(self) -> GpuRates:
        """Return what it reaches."""
        own = [field.name for field in dataclasses.fields(GpuRates) if field.name not in ("name", "peak", "memory")]
        reached: dict[str, Any] = {name: getattr(self, name).value for name in own}
        return GpuRates(name=self.name, peak=self.fp16_rate.value, memory=self.memory_rate.value, **reached)


GPUS = Family(Gpu)
