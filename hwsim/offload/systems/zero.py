"""DeepSpeed ZeRO-Inference: weights are brought to the GPU layer by layer, every step, from host memory or drives.

The next layer comes while one computes. The host waits for the copy of every module, and runs hooks before and after each, which
costs every layer a time. Packed weights are unpacked on the GPU at every use. A cache in host memory is kept in FP32 whatever the
model's format, its keys and values are copied to all heads of queries at every step, and the host's processor attends.
Ref: DeepSpeed's posts on ZeRO-Inference (2022) and DeepNVMe (2024, 2025); deepspeedai/DeepSpeed v0.10.3, runtime/zero and
inference/quantization; tjruwase/transformers, branch kvcache-offload-cpu @35515d7, models/llama and models/opt.
"""

import dataclasses
from typing import Annotated

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer, Tier
from hwsim.offload.devices import Drive, Gpu, Host
from hwsim.offload.devices.device import SHARE
from hwsim.offload.gpu_time import MEMORY, GpuDecoder
from hwsim.offload.span import NOTHING, Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, UP_LINK, Devices, System, carried, link_rate, part_of
from hwsim.reader import OneOf
from hwsim.sourced import Sourced
from hwsim.units import Bytes, Seconds

__all__ = ["PLACES", "ZeroInference"]

LAYER_COST: Sourced[Seconds] = Sourced(
    value=Seconds(0.00148),
    kind="derived",
    source="DeepSpeedExamples, table of an A6000: packed weights of three networks in pinned memory, less copies and unpacking",
)
DRIVE_COST: Sourced[Seconds] = Sourced(
    value=Seconds(0.00933),
    kind="derived",
    source="DeepNVMe posts, 2024 and 2025, and DeepSpeedExamples: weights on drives, 14 rows, less the rates that were measured",
)
COPY_SHARE: Sourced[float] = Sourced(
    value=1.0, kind="assumed", source="from version 0.10 on weights are copied straight from pinned memory, beside computation"
)

_WHOLE = 2.0
"""Bytes of a weight that is not packed."""
_CACHED = 32.0
"""Bits of a key or a value in host memory."""
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
    converts_cache: bool = False
    """Whether a cache in host memory keeps the model's format and is made FP32 anew at every step, as BLOOM's is."""
    is_pinned: bool = True
    """Whether weights in host memory are pinned."""
    layer_cost: Sourced[Seconds] = LAYER_COST
    """Time of hooks in every layer whose weights come."""
    drive_cost: Sourced[Seconds] = DRIVE_COST
    """Time of a layer in which its drives wait: reads are asked for module by module, a few at a time."""
    copy_share: Sourced[Annotated[float, SHARE]] = COPY_SHARE
    """Part of the host's rate of copies that those of weights reach."""

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
        unpacking = self._unpacked(work)
        layer = serial(overlapped(coming, decoder.layer(1, work.step_context)), unpacking)
        cache = work.cache_bytes(work.cached(work.tokens)) * layers
        if self.has_host_attention:
            prompt = overlapped(
                prompt, carried(UP_LINK, work.cache_bytes(work.cached(work.prompt)), link_rate(self.host, self.gpu))
            )
            layer = serial(overlapped(coming, decoder.linear(1)), unpacking, self._attended(work))
        prefill = serial(repeated(serial(prompt, unpacking), layers), decoder.head())
        step = serial(repeated(layer, layers), decoder.head())
        parts = [part_of(self.gpu), part_of(self.host)]
        if self.drive is not None and self.weights == "drive":
            parts.append(part_of(self.drive, self.drives))
        return self.answered(work, prefill, step, self._tiers(work, cache, decoder.working()), tuple(parts))

    def _weights(self, amount: Bytes) -> Span:
        if self.weights == "gpu":
            return NOTHING
        hooks = spend(FRAMEWORK, self.layer_cost.value)
        if self.weights == "drive":
            assert self.drive is not None
            copy = carried(LINK, amount, link_rate(self.host, self.gpu))
            read = carried(DRIVE, amount, self.drive.array_rate(self.drives, is_direct=self.is_direct))
            return serial(overlapped(read, copy), spend(DRIVE, self.drive_cost.value), hooks)
        rate = link_rate(self.host, self.gpu) if self.is_pinned else self.host.known("pageable_rate")
        return serial(carried(LINK, amount, rate * self.copy_share.value), hooks)

    def _unpacked(self, work: Workload) -> Span:
        """Return the time in which a layer's weights are unpacked into FP16, and in which products read twice as much and more."""
        unpacked = Bytes(work.network.layer_weights * _WHOLE) * np.less(work.weight_bits, 8 * _WHOLE)
        return spend(MEMORY, unpacked * 2.0 / self.gpu.rates().long_read_rate)

    def _attended(self, work: Workload) -> Span:
        """Return the time of a layer's attention in host memory.

        Keys and values in FP32 are read. Where several heads share them they are copied to all heads first, at every step; what is
        written is brought into the processor's cache before, and is read again by the attention.
        """
        assert self.host.memory_rate is not None
        cache, whole = work.cache_bytes(work.step_context), work.cache_bytes(work.step_context) * (_CACHED / work.cache_bits)
        copies = work.network.heads // work.network.kv_heads
        if self.converts_cache:
            moved = cache + whole * 3.0
        else:
            moved = whole * (1.0 + (3.0 * copies if copies > 1 else 0.0))
        return spend(HOST, moved / self.host.memory_rate.value)

    def _tiers(self, work: Workload, cache: Bytes, working: Bytes) -> tuple[Tier, ...]:
        resident = work.weight_bytes if self.weights == "gpu" else work.layer_bytes * 2.0
        kept = cache if self.converts_cache else cache * (_CACHED / work.cache_bits)
        here, there = (Bytes(0.0), kept) if self.has_host_attention else (cache, Bytes(0.0))
        tiers = [Tier(name="GPU memory", used=resident + here + working, capacity=self.gpu.memory.value)]
        in_host = there + (work.weight_bytes if self.weights == "host" else Bytes(0.0))
        if self.weights == "host" or self.has_host_attention:
            tiers.append(Tier(name="host memory", used=in_host, capacity=self.host.known("memory")))
        if self.weights == "drive" and self.drive is not None:
            tiers.append(Tier(name="drive", used=work.weight_bytes, capacity=self.drive.known("capacity") * float(self.drives)))
        return tuple(tiers)
