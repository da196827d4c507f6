"""Knows whole steps of a decoder of a published shape with random weights: what a GPU model must predict, never be fitted to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn import functional

from reports.gpu_baseline.clock import Clock
from reports.gpu_baseline.operators import attend

__all__ = ["steps"]


class _Decoder:
    """Layers of the Llama family; keys are stored as if rotated, which takes no time worth telling."""

    def __init__(self, sizes: Mapping[str, int], clock: Clock) -> None:
        self.sizes = sizes
        self.kind: dict[str, Any] = {"device": clock.device, "dtype": clock.dtype}
        hidden, ffn = sizes["hidden"], sizes["ffn"]
        self.queries, self.entries = (sizes[name] * sizes["head_dim"] for name in ("heads", "kv_heads"))
        shapes = [(self.queries + 2 * self.entries, hidden), (hidden, self.queries), (2 * ffn, hidden), (hidden, ffn)]
        self.layers = [[self._random(shape) for shape in shapes] for _ in range(sizes["layers"])]
        self.head = self._random((sizes["vocab"], hidden))
        self.gain = torch.ones(hidden, **self.kind)

    def _random(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, **self.kind) * 0.02

    def cache(self, tokens: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return keys and values of one sequence for every layer."""
        shape = (1, self.sizes["kv_heads"], tokens, self.sizes["head_dim"])
        return [(self._random(shape), self._random(shape)) for _ in self.layers]

    def step(self, x: torch.Tensor, cache: list[tuple[torch.Tensor, torch.Tensor]] | None) -> torch.Tensor:
        """Return the logits of the last token; x is [tokens, hidden], cache None reads the tokens' own keys causally."""
        for index, (qkv, o, gateup, down) in enumerate(self.layers):
            flat = functional.linear(self._normed(x), qkv)
            q, k, v = (
                part.unflatten(1, (-1, self.sizes["head_dim"])).transpose(0, 1)[None]
                for part in flat.split([self.queries, self.entries, self.entries], dim=1)
            )
            if cache is not None:
                cache[index][0][:, :, -1:] = k
                cache[index][1][:, :, -1:] = v
                k, v = cache[index]
            mixed = attend(q, k, v, is_causal=cache is None)[0].transpose(0, 1).flatten(1)
            x = x + functional.linear(mixed, o)
            gate, up = functional.linear(self._normed(x), gateup).chunk(2, dim=1)
            x = x + functional.linear(functional.silu(gate) * up, down)
        return functional.linear(self._normed(x[-1:]), self.head)

    def _normed(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, x.shape[-1:], self.gain)


@torch.no_grad()
def steps(clock: Clock, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the time of a decode step at every context and of every prompt, for every network; None where memory is too small."""
    for name, sizes in settings["networks"].items():
        decoder = _Decoder(sizes, clock)
        for phase, lengths in (("decode", settings["network_contexts"]), ("prefill", settings["network_prompts"])):
            for tokens in lengths:
                seconds: float | None = None
                with contextlib.suppress(torch.OutOfMemoryError):
                    seconds = _decode(decoder, tokens, clock) if phase == "decode" else _prefill(decoder, tokens, clock)
                _emptied(clock)
                yield {"network": name, "phase": phase, "tokens": tokens, "seconds": seconds}
        del decoder
        _emptied(clock)


def _decode(decoder: _Decoder, context: int, clock: Clock) -> float:
    cache, x = decoder.cache(context), torch.randn((1, decoder.sizes["hidden"]), **decoder.kind)
    return clock.graphed(lambda: decoder.step(x, cache))


def _prefill(decoder: _Decoder, prompt: int, clock: Clock) -> float:
    x = torch.randn((prompt, decoder.sizes["hidden"]), **decoder.kind)
    return clock.launched(lambda: decoder.step(x, None))


def _emptied(clock: Clock) -> None:
    """Give back what the allocator holds: the next cache is another size."""
    if clock.device.type == "cuda":
        torch.cuda.empty_cache()
