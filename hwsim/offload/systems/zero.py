"""DeepSpeed ZeRO-Inference: weights are brought to the GPU layer by layer, every step, from host memory or drives.

The next layer comes while one computes. Where weights pass through buffers of the host, each layer costs a fixed time more:
the same on machines whose links and drives differ tenfold.
Ref: DeepSpeed's posts on ZeRO-Inference (2022) and DeepNVMe (2024, 2025).
"""

import dataclasses
from typing import Annotated

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer, Tier
from hwsim.offload.devices import Drive, Gpu, Host
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.span import NOTHING, Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, UP_LINK, Devices, System, carried, link_rate, part_of
from hwsim.reader import OneOf
from hwsim.sourced import Sourced
from hwsim.units import Bytes, Seconds

__all__ = ["LAYER_COST", "PLACES", "ZeroInference"]

LAYER_COST: Sourced[Seconds] = Sourced(
    value=Seconds(18e-3),
    kind="derived",
    source="ZeRO-Inference 2022 and DeepNVMe 2024: OPT-30B in host memory on a V100, Llama-3-70B on four drives on an A100",
)
"""Calibrated on two rows of `zero-weights`."""

PLACES = ("gpu", "host", "drive")
"""Places where weights may be."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroInference(System):
    """A GPU, its host, and drives where weights are there."""

    gpu: Gpu
    host: Host
    drive: Drive | None = None
    drives: Devices = 1
    weights: Annotated[str, OneOf(PLACES)] = "host"
    """One of PLACES."""
    has_host_attention: bool = False
    """Whether the cache is in host memory, and the host's processor attends."""
    is_direct: bool = False
    """Whether drives write into the GPU's memory (GPUDirect Storage), and no buffer of the host is in between."""
    layer_cost: Sourced[Seconds] = LAYER_COST
    """Time of a layer whose weights pass through buffers of the host."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights == "drive" and self.drive is None:
            raise SpecError(f"System {self.name} must have a drive, where its weights are")
        if self.has_host_attention and self.host.memory_rate is None:
            raise SpecError(f"Host {self.host.name} must have memory_rate, at which its processor attends")

    def answer(self, work: Workload) -> Answer:
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work)
        coming = self._weights(work.layer_bytes)
        prompt = overlapped(coming, decoder.prompt())
        layer = overlapped(coming, decoder.layer(1, work.step_context))
        cache = work.cache_bytes(work.cached(work.tokens)) * layers
        if self.has_host_attention:
            prompt = overlapped(
                prompt, carried(UP_LINK, work.cache_bytes(work.cached(work.prompt)), link_rate(self.host, self.gpu))
            )
            layer = serial(overlapped(coming, decoder.linear(1)), self._attended(work))
        prefill = serial(repeated(prompt, layers), decoder.head())
        step = serial(repeated(layer, layers), decoder.head())
        parts = [part_of(self.gpu), part_of(self.host)]
        if self.drive is not None and self.weights == "drive":
            parts.append(part_of(self.drive, self.drives))
        return self.answered(work, prefill, step, self._tiers(work, cache, decoder.working()), tuple(parts))

    def _weights(self, amount: Bytes) -> Span:
        if self.weights == "gpu":
            return NOTHING
        copy = carried(LINK, amount, link_rate(self.host, self.gpu))
        if self.weights == "drive":
            assert self.drive is not None
            copy = overlapped(carried(DRIVE, amount, self.drive.array_rate(self.drives, is_direct=self.is_direct)), copy)
        return copy if self.is_direct else serial(copy, spend(FRAMEWORK, self.layer_cost.value))

    def _attended(self, work: Workload) -> Span:
        assert self.host.memory_rate is not None
        return spend(HOST, work.cache_bytes(work.step_context) / self.host.memory_rate.value)

    def _tiers(self, work: Workload, cache: Bytes, working: Bytes) -> tuple[Tier, ...]:
        resident = work.weight_bytes if self.weights == "gpu" else work.layer_bytes * 2.0
        here, there = (Bytes(0.0), cache) if self.has_host_attention else (cache, Bytes(0.0))
        tiers = [Tier(name="GPU memory", used=resident + here + working, capacity=self.gpu.memory.value)]
        in_host = there + (work.weight_bytes if self.weights == "host" else Bytes(0.0))
        if self.weights == "host" or self.has_host_attention:
            tiers.append(Tier(name="host memory", used=in_host, capacity=self.host.known("memory")))
        if self.weights == "drive" and self.drive is not None:
            tiers.append(Tier(name="drive", used=work.weight_bytes, capacity=self.drive.known("capacity") * float(self.drives)))
        return tuple(tiers)
