"""InstInfer: the cache is on drives that attend to it themselves; beside it, a host that reads its cache from an ordinary drive.

A step is serial in every layer: the GPU makes queries, keys and values, the drives attend, the GPU goes on. Heads are dealt to
the drives, and the one that has most of them decides.
Ref: InstAttention (HPCA 2025, arXiv 2409.04992), sections IV and V.
"""

import dataclasses
from typing import Annotated

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer, Part, Tier
from hwsim.offload.devices import Csd, Drive, Gpu, Host
from hwsim.offload.devices.device import SHARE
from hwsim.offload.flash.layout import KvLayout, KvShape
from hwsim.offload.flash.sparf import ChannelSelection, SparF, TokenSelection, dense_bytes
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.span import Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, Devices, System, carried, fullest_share, link_rate, part_of
from hwsim.reader import Limits
from hwsim.sourced import Sourced, facts_of
from hwsim.units import Bytes, BytesPerSecond, Hertz, OperationsPerSecond, Seconds

__all__ = ["DRIVE_LINK", "ENGINE", "FLASH", "DriveCache", "InstInfer", "Sparsity"]

FLASH, ENGINE, DRIVE_LINK = "flash", "engine of the drive", "GPU to drive"
"""Causes of time in drives that attend."""

_MOMENTS = 64
"""Steps of a run at which reads are counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsity:
    """What SparF picks, and how keys lie on pages for it."""

    token_share: Sourced[float]
    """Share of all tokens that are picked (k / S)."""
    touched_share: Sourced[float]
    """Share of the groups of tokens in which at least one is picked."""
    channel_share: Sourced[float]
    """Channels picked, of a head's (r / d)."""
    group_tokens: Sourced[Annotated[int, Limits(1)]]
    """Tokens of a page of keys, or values."""
    page_channels: Sourced[Annotated[int, Limits(1)]]
    """Channels of a page of keys by channel."""
    page_tokens: Sourced[Annotated[int, Limits(1)]]
    """Tokens of such a page."""

    def over(self, shape: KvShape) -> SparF:
        """Return the selection on a network's keys and values."""
        layout = KvLayout(
            shape=shape,
            group_tokens=self.group_tokens.value,
            page_channels=self.page_channels.value,
            page_tokens=self.page_tokens.value,
        )
        picked = max(1, round(self.channel_share.value * shape.head_channels))
        return SparF(
            layout=layout,
            tokens=TokenSelection.touching(self.token_share.value, self.group_tokens.value, self.touched_share.value),
            channels=ChannelSelection(picked=picked, channels=shape.head_channels),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriveCache(System):
    """A GPU that holds the weights, and a drive with the cache that the host reads for it."""

    gpu: Gpu
    gpus: Devices = 1
    """They have layers of their own, and work one after another."""
    host: Host
    drive: Drive
    drives: Devices = 1
    kept_rate: Sourced[BytesPerSecond]
    """Rate of reads of mapped files whose pages the host has in memory."""
    compression: Annotated[float, SHARE] = 1.0
    """Keys and values read, of all."""
    sequence_cost: Sourced[Seconds]
    """Time that the framework adds to a layer of a step for every sequence."""

    def answer(self, work: Workload) -> Answer:
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work)
        cache = work.cache_bytes(work.step_context)
        wanted = cache * self.compression
        # Of files that are read over and over again, the host keeps in memory what it has room for.
        whole = work.cache_bytes(work.cached(work.tokens)) * layers
        kept = np.maximum(0.0, 1 - np.divide(whole.value, self.host.known("memory").value))
        reading = serial(
            carried(DRIVE, wanted * np.subtract(1, kept), self.drive.file_rate * float(self.drives)),
            spend(HOST, wanted * kept / self.kept_rate.value),
        )
        read = overlapped(reading, carried(LINK, wanted, link_rate(self.host, self.gpu)))
        layer = serial(decoder.linear(1), read, _framework(self.sequence_cost.value, work))
        written = work.cache_bytes(work.cached(work.prompt))
        write = carried(DRIVE, written, self.drive.store_rate * float(self.drives))
        prefill = serial(repeated(overlapped(decoder.prompt(), write), layers), decoder.head())
        step = serial(repeated(layer, layers), decoder.head())
        tiers = (
            _gpu_tier(self.gpu, self.gpus, work, self._working(work)),
            Tier(name="drive", used=whole, capacity=self.drive.known("capacity") * float(self.drives)),
        )
        parts = (part_of(self.gpu, self.gpus), part_of(self.host), part_of(self.drive, self.drives))
        return self.answered(work, prefill, step, tiers, parts)

    def _working(self, work: Workload) -> Bytes:
        """Return what FlexGen's search counts of a layer's prompts, all at once: values of every kind, and scores."""
        network = work.network
        values = work.hidden_bytes(work.prompt) * ((18 * network.hidden + 2 * network.ffn) / (2 * network.hidden))
        return values + Bytes(2.0 * network.heads * np.multiply(work.batch, np.multiply(work.prompt, work.prompt)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstInfer(System):
    """A GPU that holds the weights, and drives that hold the cache and attend to it."""

    gpu: Gpu
    gpus: Devices = 1
    """They have layers of their own, and work one after another."""
    host: Host
    csd: Csd
    csds: Devices = 1
    sparsity: Sparsity | None = None
    """What SparF picks; without it attention is dense."""
    engine_rate: Sourced[OperationsPerSecond]
    """Rate of the attention of a drive's engine that reading does not hide."""
    picking_rate: Sourced[Hertz]
    """Rate of the scores among which the engine finds the largest."""
    prompt_write_rate: Sourced[BytesPerSecond]
    """Writes of the prompt's cache, of one drive."""
    key_copies: Sourced[Annotated[float, Limits(1)]]
    """Bytes written over those of keys and values: keys are stored by token and by channel."""
    sequence_cost: Sourced[Seconds]
    """Time that the framework adds to a layer of a step for every sequence."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.csd.used_rate is None:
            raise SpecError(f"CSD {self.csd.name} must have used_rate, at which its flash is read")
        if self.csd.link_rate is None:
            raise SpecError(f"CSD {self.csd.name} must have link_rate, at which queries come to it")

    @property
    def constants(self) -> dict[str, Sourced[object]]:
        picks = {} if self.sparsity is None else facts_of(self.sparsity)
        return super().constants | {f"sparsity.{name}": fact for name, fact in picks.items()}

    def answer(self, work: Workload) -> Answer:
        layers = work.network.layers
        decoder = GpuDecoder(gpu=self.gpu.rates(), work=work)
        layer = serial(decoder.linear(1), self._link(work), self.attention(work), _framework(self.sequence_cost.value, work))
        copies = self.key_copies.value if self.sparsity is not None else 1.0
        written = work.cache_bytes(work.cached(work.prompt)) * copies
        fullest = fullest_share(work.network.kv_heads, self.csds)
        write = carried(FLASH, written, self.prompt_write_rate.value / fullest)
        prefill = serial(repeated(overlapped(decoder.prompt(), write), layers), decoder.head())
        step = serial(repeated(layer, layers), decoder.head())
        # The prompt's keys and values of two layers: one computes while the other's leave.
        tiers = (
            _gpu_tier(
                self.gpu, self.gpus, work, work.cache_bytes(work.prompt) * (2.0 / np.asarray(work.batch)) + decoder.working()
            ),
            Tier(
                name="drives",
                used=work.cache_bytes(work.cached(work.tokens)) * (layers * copies),
                capacity=self.csd.known("capacity") * (1 / fullest),
            ),
        )
        drives = Part(device=self.csd, count=self.csds, power=self.csd.power, causes=(FLASH, ENGINE, DRIVE_LINK))
        return self.answered(work, prefill, step, tiers, (part_of(self.gpu, self.gpus), part_of(self.host), drives))

    def attention(self, work: Workload) -> Span:
        """Return a layer's attention in the drives, for one token."""
        assert self.csd.used_rate is not None
        context, heads = work.step_context, work.network.heads
        fullest = fullest_share(work.network.kv_heads, self.csds)
        read = carried(FLASH, self.read(work), self.csd.used_rate.value / fullest)
        operations = work.attention_operations(1, context) * (self.compression * fullest)
        computing = spend(ENGINE, operations / self.engine_rate.value)
        if self.sparsity is None:
            return serial(read, computing)
        scores = np.multiply(np.multiply(work.batch, heads), context) * fullest
        return serial(read, computing, spend(ENGINE, Seconds(scores / self.picking_rate.value.value)))

    @property
    def compression(self) -> float:
        """Share of all keys and values that the engine gets."""
        if self.sparsity is None:
            return 1.0
        return self.sparsity.channel_share.value / 2 + self.sparsity.token_share.value

    def read(self, work: Workload) -> Bytes:
        """Return the bytes that a layer's flash is read for one token."""
        dense = work.cache_bytes(work.step_context)
        if self.sparsity is None:
            return dense
        shape = KvShape(sequences=1, heads=work.network.kv_heads, head_channels=work.network.head_dim)
        sparf = self.sparsity.over(shape)
        # The mean over steps: only whole pages are on flash, and how many there are moves in steps.
        moments = (np.arange(_MOMENTS) + 0.5) / _MOMENTS
        contexts = np.add.outer(np.asarray(work.prompt, float), np.zeros(_MOMENTS)) + np.multiply.outer(work.generated, moments)
        kept = np.asarray(np.minimum(contexts, np.expand_dims(np.asarray(work.window), -1)), np.int64)
        read, whole = sparf.read_bytes(kept).value, dense_bytes(sparf.layout, kept).value
        return dense * (np.sum(read, axis=-1) / np.sum(whole, axis=-1))

    def _link(self, work: Workload) -> Span:
        """Return a layer's queries, keys and values to the drives, and what they made of them back."""
        assert self.csd.link_rate is not None
        network = work.network
        values = (2 * network.heads + 2 * network.kv_heads) * network.head_dim * work.activation_bytes
        amount = Bytes(np.multiply(work.batch, values))
        return carried(DRIVE_LINK, amount, self.csd.link_rate.value / fullest_share(network.kv_heads, self.csds))


def _gpu_tier(gpu: Gpu, gpus: int, work: Workload, working: Bytes) -> Tier:
    return Tier(name="GPU memory", used=work.weight_bytes + working * float(gpus), capacity=gpu.memory.value * float(gpus))


def _framework(cost: Seconds, work: Workload) -> Span:
    """Return what the framework adds to a layer of a step, for every sequence."""
    return spend(FRAMEWORK, Seconds(np.multiply(cost.value, work.batch)))
