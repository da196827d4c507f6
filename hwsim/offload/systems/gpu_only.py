"""GPUs that hold everything: weights and cache in their memory."""

import dataclasses
from typing import Annotated

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Tier, fastest
from hwsim.offload.devices import Gpu, Host
from hwsim.offload.devices.device import SHARE
from hwsim.offload.parallel import BEST, WAYS, Way, ways_of
from hwsim.offload.systems.system import Devices, System, part_of, peer_rate
from hwsim.reader import OneOf
from hwsim.sourced import Sourced
from hwsim.units import Seconds

__all__ = ["KERNELS", "GpuOnly"]

KERNELS = ("measured", "cudnn", "published")
"""How prompts may be computed."""
CUDNN_SHARE: Sourced[float] = Sourced(
    value=0.54,
    kind="measured",
    source="reports/studies/gpu_baseline/results/h200.json: prompts of 8K to 128K tokens on an H200, 51 to 57 %",
)
_MINFERENCE = "MInference (arXiv 2407.02490), seconds of prompts of 1K to 1M tokens on an A100"
PIPELINE_SHARE: Sourced[float] = Sourced(value=0.53, kind="derived", source=f"{_MINFERENCE}, FlashAttention-2 and A-shape")
PIPELINE_LAYER: Sourced[Seconds] = Sourced(value=Seconds(17e-3), kind="derived", source=f"{_MINFERENCE}, FlashAttention-2")
PIPELINE_HEAD: Sourced[Seconds] = Sourced(value=Seconds(0.565e-3), kind="derived", source=f"{_MINFERENCE}, A-shape")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuOnly(System):
    """GPUs and their host."""

    gpu: Gpu
    gpus: Devices = 1
    parallel: Annotated[str, OneOf((*WAYS, BEST))] = BEST
    """How several GPUs work together: they share every layer (`tensor`), or have layers (`layer`) or sequences (`data`) of their
    own; `best` takes the fastest way, which may leave some idle."""
    host: Host
    kernels: Annotated[str, OneOf(KERNELS)] = "measured"
    """How prompts are computed: at the rates of the GPU's file (`measured`), with cuDNN's attention (`cudnn`), or as a published
    pipeline in Python runs them (`published`)."""
    cudnn_share: Sourced[Annotated[float, SHARE]] = CUDNN_SHARE
    """Part of the GPU's peak that cuDNN's attention of a long prompt over itself reaches."""
    pipeline_share: Sourced[Annotated[float, SHARE]] = PIPELINE_SHARE
    """Part of the GPU's peak that products and attention of a pipeline's prompts reach."""
    pipeline_layer: Sourced[Seconds] = PIPELINE_LAYER
    """Least time of a layer of a pipeline's prompt: launches from Python."""
    pipeline_head: Sourced[Seconds] = PIPELINE_HEAD
    """What that is longer for each head where attention has a window: such kernels are launched head by head."""

    def answer(self, work: Workload) -> Answer:
        rates = self.gpu.rates()
        floor, prompt_rates = Seconds(0.0), rates
        if self.kernels == "cudnn":
            prompt_rates = dataclasses.replace(rates, prompt_attention_share=self.cudnn_share.value)
        elif self.kernels == "published":
            share = self.pipeline_share.value
            prompt_rates = dataclasses.replace(rates, product_share=share, prompt_attention_share=share)
            heads = np.where(np.isfinite(work.window), float(work.network.heads), 0.0)
            floor = self.pipeline_layer.value + self.pipeline_head.value * heads[()]
        peers = peer_rate(self.host, self.gpu)
        others = {"rates": rates, "prompt_rates": prompt_rates, "layer_floor": floor, "peer_rate": peers}
        return fastest(*map(self._answer, ways_of(self.parallel, self.gpus, work, **others)))

    def _answer(self, way: Way) -> Answer:
        tiers = (Tier(name="GPU memory", used=way.used, capacity=self.gpu.memory.value * float(way.gpus)),)
        found = self.answered(way.work, way.prefill, way.step, tiers, (part_of(self.gpu, self.gpus), part_of(self.host)))
        return dataclasses.replace(found, way=str(way))
