"""TriForce: a small draft proposes to the target with a part of its cache, which proposes to the target with all of it.

The part, picked by retrieval, and the weights are on the GPUs; the whole cache is there as far as it fits, else in host memory,
from where every pass that checks streams it. In the hierarchy the small draft proposes one token to a pass with the part, which
gives two tokens where it is taken and one where it is not, until enough are there for the whole cache to check.
Ref: TriForce (arXiv 2404.11912), sections 4 and 5; Infini-AI-Lab/TriForce @164c8c0, Middle_Spec in utils/decoding.py.
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
from hwsim.units import Bytes, Seconds, Value

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


def expected_passes(acceptance: float, proposed: int) -> tuple[float, float]:
    """Return the passes with the part until it has given `proposed` tokens or one more, and how likely it is one more."""
    # Of every number of tokens: how likely it is that the passes come by it.
    reached = [1.0, 1.0 - acceptance]
    for _ in range(2, proposed + 1):
        reached.append(reached[-1] * (1 - acceptance) + reached[-2] * acceptance)
    return sum(reached[:proposed]), 1.0 - reached[proposed]


RESERVE: Sourced[Bytes] = Sourced(
    value=Bytes(6e9),
    kind="derived",
    source="TriForce @164c8c0, README: with it 9, 12, 0 and 2 layers have room on GPUs of 24 GB, as its four commands have them",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TriForce(System):
    """GPUs that share the target, and their host."""

    most_sequences: ClassVar[float] = 1

    gpu: Gpu
    gpus: Devices = 1
    host: Host
    level: Annotated[str, OneOf(LEVELS)] = "hierarchy"
    """One of LEVELS."""
    host_layers: Sourced[Annotated[float, Limits(0, 1)]] | None = None
    """Layers whose cache is in host memory, of all; without it as many as the GPUs have no room for."""
    reserve: Sourced[Bytes] = RESERVE
    """Memory of each GPU that holds neither weights nor caches."""
    budget: Sourced[Count]
    """Tokens of the part of the cache that proposes."""
    proposed: Sourced[Count]
    """Tokens proposed to the target (gamma)."""
    acceptance: Sourced[Annotated[float, Limits(0, below=1)]]
    """Probability that the target takes a token proposed to it."""
    draft_proposed: Sourced[Count]
    """Tokens that the small draft proposes where it is alone."""
    draft_acceptance: Sourced[Annotated[float, Limits(0, below=1)]]
    """Probability that a token of the small draft is taken by whom it is proposed to."""
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
        cache = work.cache_bytes(work.cached(work.tokens)) * layers
        part_bytes = work.cache_bytes(budget) * (layers if self.level in ("retrieval", "hierarchy") else 0)
        away = self._layers_away(work, self.gpu.memory.value * float(used) - self.reserve.value * float(used) - part_bytes)
        checking = serial(self._checking(decoder, work, away), decoder.head())
        part = self._pass(decoder, budget)
        small = spend(DRAFT, self.draft_time.value)
        count, inner = self.proposed.value, self.draft_proposed.value
        if self.level == "target":
            step = checking
        elif self.level == "draft":
            gain = expected_tokens(self.draft_acceptance.value, inner)
            step = repeated(serial(checking, repeated(small, inner)), 1 / gain)
        elif self.level == "retrieval":
            whole = serial(checking, repeated(part, count))
            step = repeated(whole, 1 / expected_tokens(self.acceptance.value, count))
        else:
            passes, further = expected_passes(self.draft_acceptance.value, count)
            whole = serial(checking, repeated(serial(part, small), passes), small)
            fewer, more = (expected_tokens(self.acceptance.value, number) for number in (count, count + 1))
            step = repeated(whole, 1 / (fewer + further * (more - fewer)))
        tiers = (
            Tier(
                name="GPU memory",
                used=work.weight_bytes + cache * np.subtract(1, away) + part_bytes + decoder.working(),
                capacity=self.gpu.memory.value * float(used),
            ),
            Tier(name="host memory", used=cache * away, capacity=self.host.known("memory")),
        )
        gpus = part_of(self.gpu, self.gpus)
        gpus = dataclasses.replace(gpus, causes=(*gpus.causes, DRAFT))
        return self.answered(work, prefill, step, tiers, (gpus, part_of(self.host)))

    def _layers_away(self, work: Workload, room: Bytes) -> Value:
        """Return the part of the layers whose cache is in host memory, with so much room for weights and caches."""
        if self.host_layers is not None:
            return self.host_layers.value
        layer = work.cache_bytes(work.cached(work.tokens))
        here = np.floor(np.divide((room - work.weight_bytes).value, layer.value))
        return 1 - np.clip(here, 0, work.network.layers) / work.network.layers

    def _checking(self, decoder: GpuDecoder, work: Workload, away: Value) -> Span:
        """Return a pass of the target: layers whose cache is away stream it, each GPU its heads."""
        here, layers = decoder.layer(1, work.step_context), np.multiply(away, work.network.layers)
        rate = link_rate(self.host, self.gpu) * float(decoder.gpus)
        streamed = carried(LINK, work.cache_bytes(work.step_context), rate) if np.any(layers) else NOTHING
        return serial(repeated(overlapped(streamed, here), layers), repeated(here, np.subtract(work.network.layers, layers)))

    def _pass(self, decoder: GpuDecoder, budget: Value) -> Span:
        """Return a pass of the target with a part of its cache."""
        layers = decoder.work.network.layers
        layer = decoder.layer(1, budget)
        return serial(repeated(layer, layers), decoder.head(), spend(FRAMEWORK, self.pass_cost.value))
