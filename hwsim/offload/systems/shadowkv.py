"""ShadowKV: keys stay on the GPU as low ranks and landmarks of chunks, values go to the host; a step fetches the chunks it picks.

While the values of picked chunks come, of which many are still there from the step before, their keys are made again from the
low ranks.
Ref: ShadowKV (arXiv 2410.21465), algorithms 1 and 2; bytedance/ShadowKV @a21f5a9.
"""

import dataclasses
from typing import Annotated

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Tier
from hwsim.offload.devices import Gpu, Host
from hwsim.offload.devices.device import SHARE
from hwsim.offload.gpu_time import MEMORY, GpuDecoder, stream
from hwsim.offload.span import Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import FRAMEWORK, LINK, UP_LINK, System, carried, link_rate, part_of
from hwsim.reader import Limits
from hwsim.sourced import Count, Sourced
from hwsim.units import Bytes, BytesPerSecond, Hertz, Seconds, Value, minimum

__all__ = ["ShadowKv"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShadowKv(System):
    """A GPU and its host."""

    gpu: Gpu
    host: Host
    chunk: Sourced[Count]
    """Tokens of a chunk."""
    budget_share: Sourced[Annotated[float, Limits(0, 1)]]
    """Tokens picked, of all."""
    outlier_chunks: Sourced[Count]
    """Chunks whose keys and values stay on the GPU whole."""
    local_chunks: Sourced[Count]
    """Number of last chunks, which stay on the GPU too."""
    rank: Sourced[Count]
    """Rank of the keys of a layer."""
    hit_share: Sourced[Annotated[float, Limits(0, 1)]]
    """Picked chunks whose values are on the GPU from the step before."""
    gather_share: Sourced[Annotated[float, SHARE]]
    """Part of the link's rate for large copies that fetches of single chunks reach."""
    head_rate: Sourced[BytesPerSecond]
    """Rate at which the values of one head of a sequence are fetched: one thread block does that, however few of them there are."""
    layer_cost: Sourced[Seconds]
    """Time of a layer of a step that launches and Python take, and nothing hides."""
    pick_rate: Sourced[Hertz]
    """Scores that the GPU normalizes and finds the largest of; every query head has one for a chunk."""
    attention_share: Sourced[Annotated[float, SHARE]]
    """Part of the rate of the GPU's memory that attention over what was picked reaches."""

    def answer(self, work: Workload) -> Answer:
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work)
        # Values leave while the prompt is computed; making the low ranks takes under a tenth of it and is left out.
        stored = carried(UP_LINK, _half(work, work.cached(work.prompt)), link_rate(self.host, self.gpu))
        prefill = serial(repeated(overlapped(decoder.prompt(), stored), layers), decoder.head())
        step = serial(repeated(self.layer(work), layers), decoder.head())
        tokens = work.cached(work.tokens)
        tiers = (
            Tier(
                name="GPU memory",
                used=work.weight_bytes + self.kept(work, tokens) * layers + decoder.working(),
                capacity=self.gpu.memory.value,
            ),
            Tier(name="host memory", used=_half(work, tokens) * layers, capacity=self.host.known("memory")),
        )
        return self.answered(work, prefill, step, tiers, (part_of(self.gpu), part_of(self.host)))

    def layer(self, work: Workload) -> Span:
        """Return the time of a layer for one token."""
        linear = GpuDecoder(gpu=self.gpu.rates(), work=work).linear(1)
        fetched = overlapped(self.fetching(work), self.rebuilding(work))
        return serial(linear, self.scoring(work), fetched, self.attending(work), spend(FRAMEWORK, self.layer_cost.value))

    def attending(self, work: Workload) -> Span:
        """Return a layer's attention to picked, outlying and last tokens."""
        gpu = dataclasses.replace(self.gpu.rates(), attention_share=self.attention_share.value)
        return GpuDecoder(gpu=gpu, work=work).attention(1, self._attended(work))

    def scoring(self, work: Workload) -> Span:
        """Return the scores of all landmarks of a layer and the search for the largest."""
        chunks = np.divide(work.step_context, self.chunk.value)
        read = stream(self.gpu.rates(), _half(work, chunks))
        pairs = np.multiply(np.multiply(work.batch, work.network.heads), chunks)
        return serial(read, spend(MEMORY, Seconds(pairs / self.pick_rate.value.value)))

    def fetching(self, work: Workload) -> Span:
        """Return the values of a layer's picked chunks that are not on the GPU, over the link."""
        fetched = _half(work, self._picked(work)) * (1 - self.hit_share.value)
        together = link_rate(self.host, self.gpu) * self.gather_share.value
        heads = self.head_rate.value * np.multiply(work.batch, work.network.kv_heads)
        return carried(LINK, fetched, minimum(together, heads))

    def rebuilding(self, work: Workload) -> Span:
        """Return the keys of a layer's picked chunks, made from their low ranks."""
        gpu, network = self.gpu.rates(), work.network
        tokens = np.multiply(work.batch, self._picked(work))
        width = network.kv_heads * network.head_dim
        # Every head picks other tokens: it reads their low ranks for itself, and writes its keys.
        amount = Bytes(np.multiply(tokens, network.kv_heads * self.rank.value + width) * work.activation_bytes)
        return stream(gpu, amount)

    def kept(self, work: Workload, tokens: Value) -> Bytes:
        """Return what of so many tokens of a layer stays on the GPU: landmarks, low ranks, outliers and last chunks."""
        landmarks = _half(work, np.divide(tokens, self.chunk.value))
        ranks = Bytes(np.multiply(np.multiply(work.batch, tokens), self.rank.value * work.activation_bytes))
        whole = work.cache_bytes(np.minimum(tokens, self._resident + self._picked(work)))
        return landmarks + ranks + whole

    @property
    def _resident(self) -> int:
        return (self.outlier_chunks.value + self.local_chunks.value) * self.chunk.value

    def _picked(self, work: Workload) -> Value:
        return np.multiply(self.budget_share.value, work.step_context)

    def _attended(self, work: Workload) -> Value:
        return np.minimum(work.step_context, np.add(self._picked(work), self._resident + np.divide(work.generated, 2)))


def _half(work: Workload, tokens: Value) -> Bytes:
    """Return the keys, or the values, of so many tokens of a layer."""
    return work.cache_bytes(tokens) * 0.5
