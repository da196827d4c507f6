"""Several GPUs with everything in their memory: they share every layer, or have layers or sequences of their own.

A way to use them may use fewer than there are, so that more of them are never slower.
Ref: Shoeybi et al., Megatron-LM (arXiv 1909.08053), shared layers; Huang et al., GPipe (arXiv 1811.06965), layers of their own.
"""

import abc
import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.gpu_time import LAUNCHES, PEERS, GpuDecoder, GpuRates
from hwsim.offload.span import Span, move, overlapped, repeated, serial, spend
from hwsim.units import Bytes, BytesPerSecond, Seconds, Value

__all__ = ["BEST", "WAYS", "Way", "ways_of"]

BEST = "best"
"""Whichever way is the fastest."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way(abc.ABC):
    """A workload on GPUs.

    Attributes:
        rates: what one GPU reaches.
        prompt_rates: the same while it computes prompts.
        layer_floor: least time of a layer of the prompts, which launches and Python take.
        peer_rate: of what one sends to another.
        work: the workload.
        gpus: how many are used.
    """

    rates: GpuRates
    prompt_rates: GpuRates
    layer_floor: Seconds
    peer_rate: BytesPerSecond
    work: Workload
    gpus: int
    name: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.name} parallel, {self.gpus} GPUs" if self.gpus > 1 else "one GPU"

    @property
    @abc.abstractmethod
    def prefill(self) -> Span:
        """Time until every sequence has its first token."""

    @property
    @abc.abstractmethod
    def step(self) -> Span:
        """Time from one token of every sequence to the next."""

    @property
    @abc.abstractmethod
    def used(self) -> Bytes:
        """Memory that all GPUs must have together, each as much as the one that needs most."""

    def _prompt(self, decoder: GpuDecoder) -> Span:
        """Return the time of a layer of the prompts."""
        computing = dataclasses.replace(decoder, gpu=self.prompt_rates).prompt()
        return overlapped(computing, spend(LAUNCHES, self.layer_floor))

    def _one(self, work: Workload) -> GpuDecoder:
        return GpuDecoder(gpu=self.rates, work=work)

    def _dealt(self) -> Workload:
        """Return what one GPU gets where sequences are dealt to all."""
        return dataclasses.replace(self.work, batch=np.ceil(np.divide(self.work.batch, self.gpus)))


class _Together(Way):
    """All GPUs compute the same layer at a time."""

    @property
    @abc.abstractmethod
    def _decoder(self) -> GpuDecoder:
        """What the GPU with the most to do computes."""

    @property
    def prefill(self) -> Span:
        return serial(repeated(self._prompt(self._decoder), self.work.network.layers), self._decoder.head())

    @property
    def step(self) -> Span:
        layer = self._decoder.layer(1, self.work.step_context)
        return serial(repeated(layer, self.work.network.layers), self._decoder.head())


class _Tensor(_Together):
    """Every GPU has a part of each matrix and some of the heads."""

    name = "tensor"

    @property
    def _decoder(self) -> GpuDecoder:
        return GpuDecoder(gpu=self.rates, work=self.work, gpus=self.gpus, peer_rate=self.peer_rate)

    @property
    def used(self) -> Bytes:
        return self.work.weight_bytes + _cache(self.work) + self._decoder.working()


class _Layer(Way):
    """Every GPU has layers of its own; parts of the batch pass through all, as many as there are GPUs at a time."""

    name = "layer"

    @property
    def _layers(self) -> int:
        return -(-self.work.network.layers // self.gpus)

    def _stage(self, layer: Span, tokens: Value) -> Span:
        """Return the time of a GPU's layers for a part of the batch, and of sending what comes out."""
        sent = self._dealt().hidden_bytes(tokens)
        return serial(repeated(layer, self._layers), move(PEERS, sent, sent / self.peer_rate))

    @property
    def prefill(self) -> Span:
        part = self._dealt()
        decoder, parts = self._one(part), np.ceil(np.divide(self.work.batch, part.batch))
        # The first part passes all stages; then a part ends with every stage.
        stage = self._stage(self._prompt(decoder), part.prompt)
        return serial(repeated(stage, np.add(parts, self.gpus - 1)), repeated(decoder.head(), parts))

    @property
    def step(self) -> Span:
        decoder = self._one(self._dealt())
        stage = self._stage(decoder.layer(1, self.work.step_context), 1.0)
        # The last GPU has the head besides, and the others wait for it.
        return repeated(serial(stage, decoder.head()), self.gpus)

    @property
    def used(self) -> Bytes:
        share = self._layers * self.gpus / self.work.network.layers
        return (self.work.weight_bytes + _cache(self.work)) * share + self._one(self.work).working() * self.gpus


class _Data(_Together):
    """Every GPU has all weights, and some of the sequences."""

    name = "data"

    @property
    def _decoder(self) -> GpuDecoder:
        return self._one(self._dealt())

    @property
    def used(self) -> Bytes:
        one = self._decoder
        return (one.work.weight_bytes + _cache(one.work) + one.working()) * self.gpus


WAYS: dict[str, type[Way]] = {way.name: way for way in (_Tensor, _Layer, _Data)}
"""By name: GPUs share every layer (tensor parallel), have layers of their own (pipeline), or sequences of their own."""


def ways_of(name: str, gpus: int, work: Workload, **others: Any) -> Iterator[Way]:
    """Yield ways in which so many GPUs may run a workload: one of WAYS, or all for BEST, with that many or fewer.

    others: the other fields of a way.

    Raises:
        SpecError: the GPUs cannot share the network's heads, and are told to.
    """
    if name != BEST or gpus == 1:
        yield WAYS.get(name, _Data)(work=work, gpus=gpus, **others)
        return
    for count in range(1, gpus + 1):
        for way in WAYS.values():
            if way is not _Tensor or work.network.can_share(count):
                yield way(work=work, gpus=count, **others)


def _cache(work: Workload) -> Bytes:
    return work.cache_bytes(work.cached(work.tokens)) * work.network.layers
