"""The halves of a layer in floats, with every intermediate at hand, and with the engine's roundings put in one by one."""

import dataclasses
import functools
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch.nn import functional

from hwsim.arch.numerics import FIXED_LIMIT, FRACTION_BITS
from models.attention import Geometry, Pattern
from models.compress.calibrate import rounded_activations, rounded_cache
from models.compress.layer import Layer
from models.matrices import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD
from models.reference.llama import rms_norm
from models.reference.rope import magnitude

__all__ = [
    "ATTENTION_ROUNDINGS",
    "FEED_FORWARD_ROUNDINGS",
    "FIXED",
    "HEAD_ROUNDINGS",
    "AttentionRun",
    "FeedForwardRun",
    "HalfRun",
    "Halves",
    "HeadRun",
    "fixed",
    "is_beyond",
]

FIXED = "fixed"
"""The rounding of the residual stream and of results to fixed values, which saturate."""
ATTENTION_ROUNDINGS = (FIXED, "qkv", "heads", "queries", "keys", "values", "o")
"""What the engine rounds in attention: inputs of matrices, normalized heads, turned queries, what the cache holds, and FIXED."""
FEED_FORWARD_ROUNDINGS = (FIXED, "gateup", "down")
"""What the engine rounds in a feed-forward: inputs of matrices, and FIXED."""
HEAD_ROUNDINGS = (FIXED, HEAD)
"""What the engine rounds in the head."""


class AttentionRun(NamedTuple):
    """Intermediates of an attention.

    inputs: what `qkv` reads, [tokens, hidden].
    flat: its results, [tokens, rows].
    queries, keys, values: [heads, tokens, head_dim], unrotated.
    mixed: what `o` reads, [tokens, heads * head_dim].
    update: what the residual stream gets, [tokens, hidden].
    """

    inputs: torch.Tensor
    flat: torch.Tensor
    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mixed: torch.Tensor
    update: torch.Tensor

    @property
    def read(self) -> dict[str, torch.Tensor]:
        """Inputs of each matrix, [tokens, inputs]."""
        return {"qkv": self.inputs, "o": self.mixed}

    @property
    def results(self) -> dict[str, torch.Tensor]:
        """Results of each matrix, [tokens, rows]."""
        return {"qkv": self.flat, "o": self.update}


class FeedForwardRun(NamedTuple):
    """Intermediates of a feed-forward: what `gateup` reads and gives, what `down` reads and gives, [tokens, elements] each."""

    inputs: torch.Tensor
    flat: torch.Tensor
    product: torch.Tensor
    update: torch.Tensor

    @property
    def read(self) -> dict[str, torch.Tensor]:
        """Inputs of each matrix, [tokens, inputs]."""
        return {"gateup": self.inputs, "down": self.product}

    @property
    def results(self) -> dict[str, torch.Tensor]:
        """Results of each matrix, [tokens, rows]."""
        return {"gateup": self.flat, "down": self.update}


class HeadRun(NamedTuple):
    """Intermediates of the head: what it reads, [tokens, hidden], and the logits that it gives, [tokens, vocab]."""

    inputs: torch.Tensor
    update: torch.Tensor

    @property
    def read(self) -> dict[str, torch.Tensor]:
        """Inputs of each matrix, [tokens, inputs]."""
        return {HEAD: self.inputs}

    @property
    def results(self) -> dict[str, torch.Tensor]:
        """Results of each matrix, [tokens, rows]."""
        return {HEAD: self.update}


HalfRun = AttentionRun | FeedForwardRun | HeadRun


class Halves:
    """A layer's halves as functions of the residual stream of one text from its first token on.

    layer: weights, gains and biases of a layer, or of the head.
    geometry, pattern: of the attention; the geometry rounds nothing.
    bits: of a code in the cache.
    """

    def __init__(self, layer: Layer, geometry: Geometry, pattern: Pattern, bits: int) -> None:
        self.layer, self._geometry, self._pattern, self._bits = layer, geometry, pattern, bits

    def attention(self, stream: torch.Tensor, rounded: Collection[str] = ()) -> AttentionRun:
        """Return the attention of a stream, float32 [tokens, hidden].

        rounded: which of ATTENTION_ROUNDINGS are done.
        """
        qkv, o = self.layer.linears["qkv"], self.layer.linears["o"]
        keep = fixed if FIXED in rounded else _kept
        inputs = self._read("qkv", rms_norm(keep(stream), self.layer.gains[ATTENTION_NORM], self.layer.config.norm_eps), rounded)
        flat = keep(qkv.outputs(inputs))
        queries, keys, values = self.layer.heads(flat)
        if "heads" in rounded and self.layer.config.has_head_norms:
            queries, keys = rounded_activations(queries), rounded_activations(keys)
        mixed = self._read("o", keep(self._mixed(queries, keys, values, rounded)), rounded)
        update = o.outputs(mixed)
        update = _added(stream, update) if FIXED in rounded else update
        return AttentionRun(inputs, flat, queries, keys, values, mixed, update)

    def feed_forward(self, stream: torch.Tensor, rounded: Collection[str] = ()) -> FeedForwardRun:
        """Return the feed-forward of a stream, float32 [tokens, hidden].

        rounded: which of FEED_FORWARD_ROUNDINGS are done.
        """
        gateup, down = self.layer.linears["gateup"], self.layer.linears["down"]
        keep = fixed if FIXED in rounded else _kept
        inputs = self._read("gateup", rms_norm(keep(stream), self.layer.gains[FFN_NORM], self.layer.config.norm_eps), rounded)
        flat = keep(gateup.outputs(inputs))
        gate, up = flat.split(self.layer.config.ffn, dim=1)
        product = self._read("down", keep(functional.silu(gate) * up), rounded)
        update = down.outputs(product)
        update = _added(stream, update) if FIXED in rounded else update
        return FeedForwardRun(inputs, flat, product, update)

    def head(self, stream: torch.Tensor, rounded: Collection[str] = ()) -> HeadRun:
        """Return the head of a stream, float32 [tokens, hidden].

        rounded: which of HEAD_ROUNDINGS are done.
        """
        keep = fixed if FIXED in rounded else _kept
        inputs = self._read(HEAD, rms_norm(keep(stream), self.layer.gains[FINAL_NORM], self.layer.config.norm_eps), rounded)
        return HeadRun(inputs, keep(self.layer.linears[HEAD].outputs(inputs)))

    def turned(self, heads: torch.Tensor) -> torch.Tensor:
        """Return heads, [heads, tokens, head_dim], each token's turned by its position."""
        return self._geometry.rotate(heads, torch.arange(heads.shape[1]))

    def _unturned(self, heads: torch.Tensor) -> torch.Tensor:
        """Return heads that `turned` would turn into these."""
        # Turning back is turning the mirrored pair; what turning stretches, YaRN's magnitude, is taken twice.
        return _mirrored(self.turned(_mirrored(heads))) / magnitude(self.layer.config.rope_scaling) ** 2

    @staticmethod
    def _read(part: str, inputs: torch.Tensor, rounded: Collection[str]) -> torch.Tensor:
        return rounded_activations(inputs) if part in rounded else inputs

    def _mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, rounded: Collection[str]) -> torch.Tensor:
        """Return what queries read of the values, [tokens, heads * head_dim]."""
        geometry, round_cache = self._geometry, functools.partial(rounded_cache, bits=self._bits)
        if "queries" in rounded:
            geometry = dataclasses.replace(geometry, round_query=rounded_activations)
        if "values" in rounded:
            v = round_cache(v)
        if "keys" in rounded:
            k = self._unturned(round_cache(self.turned(k)))
        return self._pattern.layer(geometry).prefill(q, k, v).transpose(0, 1).flatten(1)


def fixed(values: torch.Tensor) -> torch.Tensor:
    """Return values as the engine's fixed ones hold them: in steps of 2**-FRACTION_BITS, saturated at FIXED_LIMIT."""
    step = 1 / (1 << FRACTION_BITS)
    return ((values / step).round() * step).clamp(-FIXED_LIMIT, FIXED_LIMIT - step)


def is_beyond(values: torch.Tensor) -> torch.Tensor:
    """Return which values a fixed one cannot hold."""
    return values.abs() >= FIXED_LIMIT


def _added(stream: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """Return what a stream gains when an update is added to it, all in fixed values."""
    before, change = fixed(stream.double()), fixed(update.double())
    return (fixed(before + change) - before).float()


def _kept(values: torch.Tensor) -> torch.Tensor:
    return values


def _mirrored(heads: torch.Tensor) -> torch.Tensor:
    """Return heads with the second feature of each pair negated."""
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first, -second], dim=-1)
