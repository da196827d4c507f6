"""GPUs that hold everything: weights and cache in their memory."""

import dataclasses
from typing import Annotated

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Tier, fastest
from hwsim.offload.devices import Gpu, Host
from hwsim.offload.parallel import BEST, WAYS, Way, ways_of
from hwsim.offload.systems.system import Devices, System, part_of, peer_rate
from hwsim.reader import OneOf

__all__ = ["GpuOnly"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuOnly(System):
    """GPUs and their host."""

    gpu: Gpu
    gpus: Devices = 1
    parallel: Annotated[str, OneOf((*WAYS, BEST))] = BEST
    """How several GPUs work together: they share every layer (`tensor`), or have layers (`layer`) or sequences (`data`) of their
    own; `best` takes the fastest way, which may leave some idle."""
    host: Host

    def answer(self, work: Workload) -> Answer:
        rates, peers = self.gpu.rates(), peer_rate(self.host, self.gpu)
        ways = ways_of(self.parallel, rates=rates, peer_rate=peers, work=work, gpus=self.gpus)
        return fastest(*map(self._answer, ways))

    def _answer(self, way: Way) -> Answer:
        tiers = (Tier(name="GPU memory", used=way.used, capacity=self.gpu.memory.value * float(way.gpus)),)
        found = self.answered(way.work, way.prefill, way.step, tiers, (part_of(self.gpu, self.gpus), part_of(self.host)))
        return dataclasses.replace(found, way=str(way))
