"""Whole steps of a decoder of a published shape with random weights: what a GPU model must predict, and is never fitted to."""

from collections.abc import Iterator
from functools import partial

import torch
from torch.nn import functional

from reports.studies.gpu_baseline.baseline import BaselineSettings, NetworkSizes, NetworkStep, NetworkWays, Took
from reports.studies.gpu_baseline.clock import Clock, took
from reports.studies.gpu_baseline.operators import attend, gated

__all__ = ["Decoder", "steps"]

Cache = list[tuple[torch.Tensor, torch.Tensor]]


class Decoder:
    """Layers of the Llama family; keys are stored as if rotated, which takes no time worth telling."""

    def __init__(self, sizes: NetworkSizes, clock: Clock, ways: NetworkWays) -> None:
        """Draw the weights."""
        self.sizes, self.ways, self._clock = sizes, ways, clock
        hidden, ffn = sizes.hidden, sizes.ffn
        self.queries, self.entries = (count * sizes.head_dim for count in (sizes.heads, sizes.kv_heads))
        shapes = [(self.queries + 2 * self.entries, hidden), (hidden, self.queries), (2 * ffn, hidden), (hidden, ffn)]
        self.layers = [[self._random(shape) for shape in shapes] for _ in range(sizes.layers)]
        self.head = self._random((sizes.vocab, hidden))
        self.gain = torch.ones(hidden, device=clock.device, dtype=clock.dtype)

    def rows(self, count: int) -> torch.Tensor:
        """Return random inputs, [count, hidden]."""
        return torch.randn((count, self.sizes.hidden), device=self._clock.device, dtype=self._clock.dtype)

    def _random(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, device=self._clock.device, dtype=self._clock.dtype).mul_(0.02)

    def cache(self, batch: int, tokens: int) -> Cache:
        """Return keys and values of sequences for every layer."""
        shape = (batch, self.sizes.kv_heads, tokens, self.sizes.head_dim)
        return [(self._random(shape), self._random(shape)) for _ in self.layers]

    def decode(self, x: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Return the logits of one token of every sequence, [batch, hidden]; it becomes the last of its cache."""
        for layer, (keys, values) in zip(self.layers, cache, strict=True):
            # Each row is a sequence of one token.
            q, k, v = (part[:, :, None] for part in self._heads(x, layer[0]))
            keys[:, :, -1:] = k
            values[:, :, -1:] = v
            mixed = attend(q, keys, values, way=self.ways.decode, is_causal=False)
            x = self._after(x, mixed.flatten(1), layer)
        return functional.linear(self._normed(x), self.head)

    def prefill(self, x: torch.Tensor, depth: int | None = None) -> torch.Tensor:
        """Return the logits of the last token of one sequence, [tokens, hidden]; depth: after so many layers."""
        for layer in self.layers[:depth]:
            q, k, v = (part.transpose(0, 1)[None] for part in self._heads(x, layer[0]))
            mixed = attend(q, k, v, way=self.ways.prefill, is_causal=True)
            x = self._after(x, mixed[0].transpose(0, 1).flatten(1), layer)
        return functional.linear(self._normed(x[-1:]), self.head)

    def _heads(self, x: torch.Tensor, qkv: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield queries, keys and values of rows, [rows, heads, head_dim]."""
        flat = functional.linear(self._normed(x), qkv)
        for part in flat.split([self.queries, self.entries, self.entries], dim=1):
            yield part.unflatten(1, (-1, self.sizes.head_dim))

    def _after(self, x: torch.Tensor, mixed: torch.Tensor, layer: list[torch.Tensor]) -> torch.Tensor:
        """Return the rows after a layer."""
        _, o, gateup, down = layer
        x = x + functional.linear(mixed, o)
        return x + functional.linear(gated(*functional.linear(self._normed(x), gateup).chunk(2, dim=1)), down)

    def _normed(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.gain)


def steps(clock: Clock, settings: BaselineSettings) -> Iterator[NetworkStep]:
    """Yield the time of a decode step at every context and of every prompt, for every network; None where memory is too small."""
    ways = settings.network_ways
    for name, sizes in settings.networks.items():
        decoder = Decoder(sizes, clock, ways)
        for batch in settings.network_batches:
            for tokens in settings.network_contexts:
                timed = took(partial(_decode, decoder, batch, tokens, clock))
                yield NetworkStep(network=name, phase="decode", batch=batch, tokens=tokens, way=ways.decode, took=timed)
                clock.empty()
        for tokens in settings.network_prompts:
            timed = took(partial(_prefill, decoder, tokens, clock))
            yield NetworkStep(network=name, phase="prefill", batch=1, tokens=tokens, way=ways.prefill, took=timed)
            clock.empty()
        del decoder
        clock.empty()


def _decode(decoder: Decoder, batch: int, context: int, clock: Clock) -> Took:
    cache, x = decoder.cache(batch, context), decoder.rows(batch)
    return clock.graphed([partial(decoder.decode, x, cache)])


def _prefill(decoder: Decoder, prompt: int, clock: Clock) -> Took:
    x = decoder.rows(prompt)
    # Loads all kernels: the whole may take so long that it is run once.
    decoder.prefill(x, depth=1)
    return clock.launched(partial(decoder.prefill, x))
