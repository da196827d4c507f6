"""GPUs that hold everything: weights and cache in their memory."""

import dataclasses

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Tier
from hwsim.offload.devices import Gpu, Host
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.span import repeated, serial
from hwsim.offload.systems.system import Devices, System, part_of, peer_rate

__all__ = ["GpuOnly"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuOnly(System):
    """GPUs and their host."""

    gpu: Gpu
    gpus: Devices = 1
    """They share every matrix and every head."""
    host: Host

    def answer(self, work: Workload) -> Answer:
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work, gpus=self.gpus, peer_rate=peer_rate(self.host, self.gpu))
        prefill = serial(repeated(decoder.prompt(), layers), decoder.head())
        step = serial(repeated(decoder.layer(1, work.step_context), layers), decoder.head())
        cache = work.cache_bytes(work.cached(work.tokens)) * layers
        used = work.weight_bytes + cache + decoder.working()
        tiers = (Tier(name="GPU memory", used=used, capacity=self.gpu.memory.value * float(self.gpus)),)
        return self.answered(work, prefill, step, tiers, (part_of(self.gpu, self.gpus), part_of(self.host)))
