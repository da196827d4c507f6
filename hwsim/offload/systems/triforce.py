"""TriForce: a small draft proposes to the target with a part of its cache, which proposes to the target with all of it.

The part, picked by retrieval, and the weights are on the GPUs; the whole cache is there as far as it fits, else in host memory,
from where every pass that checks streams it.
Ref: TriForce (arXiv 2404.11912), sections 4 and 5; Infini-AI-Lab/TriForce @164c8c0.
"""

import dataclasses
from typing import Annotated, ClassVar

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Tier, fastest
from hwsim.offload.devices import Gpu, Host
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.span import NOTHING, Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import FRAMEWORK, LINK, Devices, System, carried, link_rate, part_of, peer_rate
from hwsim.reader import Limits, OneOf
from hwsim.sourced import Count, Sourced
from hwsim.units import Seconds, Value

__all__ = ["DRAFT", "LEVELS", "TriForce", "expected_tokens"]

DRAFT = "draft"
"""Cause to which the time of the small draft is charged."""

LEVELS = ("target", "draft", "retrieval", "hierarchy")
"""Who proposes: nobody (every token is a pass of the target), the small draft, the target with a part of its cache, or both."""


def expected_tokens(acceptance: float, proposed: int) -> float:
    """Return the tokens that a checking pass yields in the mean: (1 - a^(g + 1)) / (1 - a).

    Ref: Leviathan et al., Fast inference from transformers via speculative decoding (ICML 2023), equation 1.
    """
    return (1 - acceptance ** (proposed + 1)) / (1 - acceptance)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TriForce(System):
    """GPUs that share the target, and their host."""

    most_sequences: ClassVar[float] = 1

    gpu: Gpu
    gpus: Devices = 1
    host: Host
    level: Annotated[str, OneOf(LEVELS)] = "hierarchy"
    """One of LEVELS."""
    host_layers: Sourced[Annotated[float, Limits(0, 1)]]
    """Layers whose cache is in host memory, of all."""
    budget: Sourced[Count]
    """Tokens of the part of the cache that proposes."""
    proposed: Sourced[Count]
    """Tokens proposed to the target (gamma)."""
    acceptance: Sourced[Annotated[float, Limits(0, below=1)]]
    """Probability that the target takes a token proposed to it."""
    draft_proposed: Sourced[Count]
    """Tokens that the small draft proposes."""
    draft_acceptance: Sourced[Annotated[float, Limits(0, below=1)]]
    """Probability that a token of the small draft is taken."""
    draft_time: Sourced[Seconds]
    """Time of the small draft for a token."""
    pass_cost: Sourced[Seconds]
    """Time of a pass that proposes besides reading: sampling, and what the framework does."""

    def answer(self, work: Workload) -> Answer:
        work.network.check_shared(self.gpus)
        counts = [count for count in range(1, self.gpus + 1) if work.network.can_share(count)]
        answers = [dataclasses.replace(self._answer(work, count), way=f"{count} of {self.gpus} GPUs") for count in counts]
        return fastest(*answers)

    def _answer(self, work: Workload, used: int) -> Answer:
        """Return the answer of so many GPUs, the others of which wait."""
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work, gpus=used, peer_rate=peer_rate(self.host, self.gpu))
        prefill = serial(repeated(decoder.prompt(), layers), decoder.head())
        budget = np.minimum(self.budget.value, work.step_context)
        checking = serial(self._checking(decoder, work), decoder.head())
        part = self._pass(decoder, budget)
        small = spend(DRAFT, self.draft_time.value)
        count, inner = self.proposed.value, self.draft_proposed.value
        gain = expected_tokens(self.draft_acceptance.value, inner)
        if self.level == "target":
            step = checking
        elif self.level == "draft":
            step = repeated(serial(checking, repeated(small, inner)), 1 / gain)
        else:
            proposing = part if self.level == "retrieval" else repeated(serial(part, repeated(small, inner)), 1 / gain)
            whole = serial(checking, repeated(proposing, count))
            step = repeated(whole, 1 / expected_tokens(self.acceptance.value, count))
        cache = work.cache_bytes(work.cached(work.tokens)) * layers
        away = self.host_layers.value
        part_bytes = work.cache_bytes(budget) * (layers if self.level in ("retrieval", "hierarchy") else 0)
        tiers = (
            Tier(
                name="GPU memory",
                used=work.weight_bytes + cache * (1 - away) + part_bytes + decoder.working(),
                capacity=self.gpu.memory.value * float(used),
            ),
            Tier(name="host memory", used=cache * away, capacity=self.host.known("memory")),
        )
        gpus = part_of(self.gpu, self.gpus)
        gpus = dataclasses.replace(gpus, causes=(*gpus.causes, DRAFT))
        return self.answered(work, prefill, step, tiers, (gpus, part_of(self.host)))

    def _checking(self, decoder: GpuDecoder, work: Workload) -> Span:
        """Return a pass of the target: layers whose cache is away stream it, each GPU its heads."""
        here = decoder.layer(1, work.step_context)
        away = self.host_layers.value * work.network.layers
        rate = link_rate(self.host, self.gpu) * float(decoder.gpus)
        streamed = carried(LINK, work.cache_bytes(work.step_context), rate) if away else NOTHING
        return serial(repeated(overlapped(streamed, here), away), repeated(here, work.network.layers - away))

    def _pass(self, decoder: GpuDecoder, budget: Value) -> Span:
        """Return a pass of the target with a part of its cache."""
        layers = decoder.work.network.layers
        layer = decoder.layer(1, budget)
        return serial(repeated(layer, layers), decoder.head(), spend(FRAMEWORK, self.pass_cost.value))
