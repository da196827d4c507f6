"""FlexGen: weights, cache and activations split over GPU, host and drive; a layer serves every GPU batch before the next one.

The composition is that of FlexGen's cost model as its code has it: in the prompt everything overlaps; in a step the copies of
weights to the GPU come first and everything else overlaps. What its constants of copies and products left out is added: a batch
reads the weights from the GPU's memory, compressed tensors are unpacked there, the cache in host memory is not pinned, and the
first read of weights from a drive is slow.
Ref: FlexGen (arXiv 2303.06865), section 4.3; FMInference/FlexGen @19753bc, experimental/cost_model.py.
"""

import dataclasses
from typing import Annotated

import numpy as np

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer, Tier
from hwsim.offload.devices import Drive, Gpu, Host
from hwsim.offload.gpu_time import ARITHMETIC, MEMORY
from hwsim.offload.span import Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import DRIVE, HOST, LINK, UP_LINK, Devices, System, carried, link_rate, part_of
from hwsim.reader import Limits
from hwsim.sourced import Sourced, facts_of
from hwsim.units import Bytes, BytesPerSecond, Value, maximum, minimum

__all__ = ["FlexGen", "FlexGenRates", "Split"]

_WHOLE = 16.0
"""Bits of a number that is not compressed."""
_ROUNDING = 1e-9
"""Percent by which the sum of shares may miss 100."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """Percent of a tensor on the GPU and on the host; the rest is on the drive."""

    gpu: Annotated[float, Limits(0, 100)]
    host: Annotated[float, Limits(0, 100)]

    def __post_init__(self) -> None:
        if min(self.gpu, self.host) < 0 or self.gpu + self.host > 100 + _ROUNDING:
            raise SpecError(f"Split must add up to at most 100 percent, not {self.gpu:g} on the GPU and {self.host:g} on the host")

    @property
    def drive(self) -> float:
        """Percent of the tensor that is on the drive."""
        rest = 100.0 - self.gpu - self.host
        return rest if rest > _ROUNDING else 0.0

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of the tensor on GPU, host and drive, which sum to one."""
        return self.gpu / 100, self.host / 100, self.drive / 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlexGenRates:
    """What FlexGen reaches of the rates of its devices."""

    unpacking: Sourced[float]
    """Times that unpacking a compressed tensor moves its unpacked bytes through the GPU's memory."""
    fault_rate: Sourced[BytesPerSecond]
    """Rate of accesses to mapped files page by page: the first read of weights, and the writes of single tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlexGen(System):
    """A policy on a machine."""

    gpu: Gpu
    host: Host
    drive: Drive
    weights: Split
    cache: Split
    activations: Split
    batches: Devices = 1
    """GPU batches of a block: the workload's batch is theirs together."""
    has_host_attention: bool = False
    """Whether the host's processor attends to what is not on the GPU."""
    has_overlap: bool = True
    """Whether copies and computation overlap."""
    has_whole_matrices: bool = True
    """Whether a matrix is in one place, as in FlexGen's code: then shares of weights are met as nearly as matrices allow."""
    rates: FlexGenRates

    def __post_init__(self) -> None:
        if self.activations.drive > 0:
            share = f"{self.activations.drive:g} percent on the drive"
            raise SpecError(f"System {self.name} activations must be on GPU and host, not {share}")
        super().__post_init__()
        if self.has_host_attention and self.host.attention_rate is None:
            raise SpecError(f"Host {self.host.name} must have attention_rate, at which its processor attends")

    @property
    def constants(self) -> dict[str, Sourced[object]]:
        return {f"rates.{name}": fact for name, fact in facts_of(self.rates).items()}

    def answer(self, work: Workload) -> Answer:
        """Return what it does with a workload.

        Raises:
            SpecError: the batch is not a multiple of the GPU batches.
        """
        wrong = np.ravel(work.batch)[np.ravel(np.mod(work.batch, self.batches)) != 0]
        if wrong.size:
            raise SpecError(f"Batch of {self.name} must be a multiple of its {self.batches} GPU batches, not {wrong[0]:g}")
        layers = work.network.layers
        parts = [part_of(self.gpu), part_of(self.host)]
        if self.weight_shares(work.network)[2] or self.cache.drive:
            parts.append(part_of(self.drive))
        together = overlapped if self.has_overlap else serial
        down, others = self.step_parts(work)
        prefill, step = together(*self.prompt_parts(work)), serial(down, together(*others))
        return self.answered(work, repeated(prefill, layers), repeated(step, layers), self.tiers(work), tuple(parts))

    def weight_shares(self, network: Network) -> tuple[float, float, float]:
        """Return the parts of a layer's weights that are on GPU, host and drive.

        Of attention and of the feed-forward part, matrices are laid along a line by size; where the middle of one lies, counted
        from the drive over the host to the GPU, decides where it is.
        """
        if not self.has_whole_matrices:
            return self.weights.shares
        on_drive, up_to_host = self.weights.drive / 100, (self.weights.drive + self.weights.host) / 100
        held = np.zeros(3)
        width, entries = network.heads * network.head_dim, network.kv_heads * network.head_dim
        attention = network.hidden * np.array([width, entries, entries, width])
        feed_forward = network.hidden * np.full(3 if network.is_gated else 2, network.ffn)
        for sizes in (attention, feed_forward):
            middles = (np.cumsum(sizes) - sizes / 2) / np.sum(sizes)
            is_gpu, is_drive = middles >= up_to_host, middles < on_drive
            held += [sizes[is_gpu].sum(), sizes[~is_gpu & ~is_drive].sum(), sizes[is_drive].sum()]
        gpu, host, drive = held / network.layer_weights
        return float(gpu), float(host), float(drive)

    def prompt_parts(self, work: Workload) -> tuple[Span, ...]:
        """Return what overlaps in a layer for the prompts of all batches."""
        weights = serial(self.weights_down(work), self.weights_read(work, is_first=True))
        coming = serial(weights, self._activations_down(work, work.prompt)) if self.has_overlap else weights
        storing = serial(self.prompt_cache_stored(work), self._activations_up(work, work.prompt))
        return coming, self.prompt_computing(work), storing

    def step_parts(self, work: Workload) -> tuple[Span, tuple[Span, ...]]:
        """Return what comes first in a layer for one token of all batches, and what then overlaps."""
        down = serial(self.weights_down(work), self._activations_down(work, 1.0))
        reading = serial(self.weights_read(work), self.cache_read(work))
        storing = serial(self.step_cache_stored(work), self._activations_up(work, 1.0))
        return down, (reading, self.step_computing(work), self._cache_down(work), storing)

    def prompt_computing(self, work: Workload) -> Span:
        """Return the GPU's part of a layer's prompts."""
        gpu = self.gpu.rates()
        products = spend(ARITHMETIC, work.layer_operations(work.prompt) / gpu.product_rate)
        # The whole square of scores: FlexGen masks after computing them.
        attention = work.attention_operations(work.prompt, work.prompt) / (gpu.peak * gpu.prompt_attention_share)
        packing = self._unpacked(work, np.add(work.prompt, 1), 1.0)
        return serial(products, spend(ARITHMETIC, attention), packing)

    def step_computing(self, work: Workload) -> Span:
        """Return what GPU and host compute of a layer for one token."""
        gpu = self.gpu.rates()
        reading = Bytes(work.network.layer_weights * _WHOLE / 8 * self.batches) / gpu.long_read_rate
        products = serial(spend(ARITHMETIC, work.layer_operations(1) / gpu.product_rate), spend(MEMORY, reading))
        on_gpu, elsewhere = self.cache.shares[0], 1 - self.cache.shares[0]
        cache = self._unpacked_cache(work, work.step_context)
        if not self.has_host_attention:
            read = cache / (gpu.memory * gpu.attention_share)
            return serial(products, spend(MEMORY, read), self._unpacked(work, work.step_context, 1.0))
        assert self.host.attention_rate is not None
        attended = work.attention_operations(1, work.step_context) * elsewhere / self.host.attention_rate.value
        here = cache * on_gpu / (gpu.memory * gpu.attention_share)
        return serial(products, spend(MEMORY, here), spend(HOST, attended), self._unpacked(work, work.step_context, on_gpu))

    def weights_read(self, work: Workload, *, is_first: bool = False) -> Span:
        """Return the reads of a layer's weights from the drive."""
        amount = work.layer_bytes * self.weight_shares(work.network)[2]
        rate = minimum(self.drive.file_rate, self.rates.fault_rate.value) if is_first else self.drive.file_rate
        return carried(DRIVE, amount, rate)

    def cache_read(self, work: Workload) -> Span:
        """Return the reads of a layer's cache from the drive, for one token."""
        return carried(DRIVE, work.cache_bytes(work.step_context) * self.cache.shares[2], self.drive.file_rate)

    def prompt_cache_stored(self, work: Workload) -> Span:
        """Return the copies of a layer's cache from the GPU, for the prompts."""
        cache = work.cache_bytes(work.cached(np.add(work.prompt, 1)))
        _, host, drive = self.cache.shares
        return serial(
            carried(UP_LINK, cache * host, self.host.known("pageable_store_rate")),
            carried(UP_LINK, cache * drive, self.drive.file_rate),
        )

    def step_cache_stored(self, work: Workload) -> Span:
        """Return the copies of a layer's cache from the GPU for one token, on to the drive where the cache is there."""
        _, host, drive = self.cache.shares
        token = work.cache_bytes(1.0) * drive
        return serial(
            carried(UP_LINK, work.cache_bytes(1.0) * host, self.host.known("pageable_store_rate")),
            carried(DRIVE, token, minimum(self.drive.store_rate, self.rates.fault_rate.value)),
        )

    def weights_down(self, work: Workload) -> Span:
        """Return the copies of a layer's weights to the GPU."""
        return carried(LINK, work.layer_bytes * (1 - self.weight_shares(work.network)[0]), link_rate(self.host, self.gpu))

    def _activations_down(self, work: Workload, tokens: Value) -> Span:
        return carried(LINK, work.hidden_bytes(tokens) * (1 - self.activations.shares[0]), link_rate(self.host, self.gpu))

    def _activations_up(self, work: Workload, tokens: Value) -> Span:
        amount = work.hidden_bytes(tokens) * (1 - self.activations.shares[0])
        return carried(UP_LINK, amount, self.host.known("gpu_store_rate"))

    def _cache_down(self, work: Workload) -> Span:
        away = 0.0 if self.has_host_attention else 1 - self.cache.shares[0]
        return carried(LINK, work.cache_bytes(work.step_context) * away, self.host.known("pageable_rate"))

    def _unpacked_cache(self, work: Workload, tokens: Value) -> Bytes:
        return work.cache_bytes(work.cached(tokens)) * (_WHOLE / work.cache_bits)

    def _unpacked(self, work: Workload, tokens: Value, cache_share: float) -> Span:
        """Return the unpacking of a layer: its weights for every batch, and this share of its cache."""
        weights = Bytes(work.network.layer_weights * _WHOLE / 8 * self.batches) * np.less(work.weight_bits, _WHOLE)
        amount = weights + self._unpacked_cache(work, tokens) * (cache_share * np.less(work.cache_bits, _WHOLE))
        return spend(MEMORY, amount * self.rates.unpacking.value / self.gpu.rates().long_read_rate)

    def tiers(self, work: Workload) -> tuple[Tier, ...]:
        """Return size and use of every memory; on the GPU prompt and step apart.

        FlexGen's search counts alike but keeps all values of a layer.
        """
        network, layers = work.network, work.network.layers
        weights, cache = work.layer_bytes * layers, work.cache_bytes(work.cached(work.tokens)) * layers
        prompt, one = work.hidden_bytes(work.prompt), work.hidden_bytes(1.0)
        per_batch = 1 / self.batches
        scores = Bytes(np.multiply(2.0 * network.heads, np.multiply(np.multiply(work.batch, work.prompt), work.prompt)) * per_batch)
        # Of one batch, in one half of a layer: input, queries, keys, values, output and scores; or input, inner values and output.
        attending = prompt * (6 * per_batch) + scores
        working = maximum(attending, prompt * ((3 + network.ffn / network.hidden) * per_batch))
        wg, wc, wd = self.weight_shares(network)
        cg, cc, cd = self.cache.shares
        hg, hc, _ = self.activations.shares
        held = weights * wg + cache * cg + work.layer_bytes * (2 * (1 - wg))
        in_prompt = held + prompt * hg + prompt * ((1 - hg) * per_batch) + working
        loaded = 0.0 if self.has_host_attention else (1 - cg) * per_batch
        in_step = held + one * hg + work.cache_bytes(work.cached(work.tokens)) * (2 * loaded)
        on_host = weights * wc + cache * cc + prompt * hc + work.layer_bytes * wd
        if self.has_host_attention:
            on_host = on_host + work.cache_bytes(work.cached(work.tokens)) * (2 * cd * per_batch)
        on_drive = weights * wd + cache * cd
        return (
            Tier(name="GPU memory in the prompt", used=in_prompt, capacity=self.gpu.memory.value),
            Tier(name="GPU memory in a step", used=in_step, capacity=self.gpu.memory.value),
            Tier(name="host memory", used=on_host, capacity=self.host.known("memory")),
            Tier(name="drive", used=on_drive, capacity=self.drive.known("capacity")),
        )
