"""Work in plain numbers: the sizes of a network, how much of it is asked for at once, and what a piece of it moves and computes."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from hwsim.errors import SpecError, shown
from hwsim.units import Bytes, Operations, Value

__all__ = ["Ledger", "Network", "Traffic", "Workload"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Sizes of a decoder; all layers are alike.

    Attributes:
        name: what reports call it.
        layers, hidden, heads, kv_heads, head_dim, ffn, vocab: as their publishers count them.
        is_gated: whether the feed-forward layer has a gate beside its up projection.
        is_tied: whether the head is the embedding.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    is_gated: bool
    is_tied: bool

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(type(self)).items():
            value = getattr(self, name)
            if kind is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise SpecError(f"Network {self.name} {name} must be a positive integer, not {shown(value)}")
        if self.heads % self.kv_heads:
            raise SpecError(f"Network {self.name} heads must be a multiple of its {self.kv_heads} kv_heads, not {self.heads}")

    def check_shared(self, devices: int) -> None:
        """Raise SpecError unless so many devices can share every layer: each has whole heads, and keys or a copy of some."""
        if self.can_share(devices):
            return
        if self.heads % devices:
            raise SpecError(f"Number of devices that share {self.name} must divide its {self.heads} heads, not be {devices}")
        both = f"divide its {self.kv_heads} heads of keys or be a multiple of it"
        raise SpecError(f"Number of devices that share {self.name} must {both}, not {devices}")

    def can_share(self, devices: int) -> bool:
        """Return whether each of so many devices can have whole heads, and as many heads of keys as the others."""
        return self.heads % devices == 0 and max(devices, self.kv_heads) % min(devices, self.kv_heads) == 0

    @property
    def attention_weights(self) -> int:
        """Weights of a layer's query, key, value and output projections."""
        return self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)

    @property
    def ffn_weights(self) -> int:
        """Weights of a layer's feed-forward part."""
        return (3 if self.is_gated else 2) * self.hidden * self.ffn

    @property
    def layer_weights(self) -> int:
        """Weights of a layer's matrices."""
        return self.attention_weights + self.ffn_weights

    @property
    def head_weights(self) -> int:
        """Weights of the head."""
        return self.vocab * self.hidden

    @property
    def weights(self) -> int:
        """Weights of all layers, the embedding and the head; a tied head counts once."""
        return self.layers * self.layer_weights + (1 if self.is_tied else 2) * self.head_weights

    @property
    def cached_values(self) -> int:
        """Keys and values that one token leaves in one layer."""
        return 2 * self.kv_heads * self.head_dim


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A network and how much of it at once; counts and bits are numbers or arrays that broadcast.

    Attributes:
        network: what runs.
        prompt: tokens of a sequence before the first generated one.
        generated: tokens generated for each sequence, at least 1.
        batch: sequences at once.
        weight_bits, cache_bits: of a stored weight and of a cached value, scales included.
        activation_bytes: of a value in the residual stream.
        window: tokens of a sequence that stay cached at most, of Λ-shaped attention; without bound where it is dense.
    """

    network: Network
    prompt: Value
    generated: Value
    batch: Value
    weight_bits: Value = 16.0
    cache_bits: Value = 16.0
    activation_bytes: Value = 2.0
    window: Value = math.inf

    def __post_init__(self) -> None:
        for name in ("prompt", "generated", "batch", "weight_bits", "cache_bits", "activation_bytes"):
            value = np.asarray(getattr(self, name))
            if not np.issubdtype(value.dtype, np.number) or not bool((np.isfinite(value) & (value > 0)).all()):
                raise SpecError(f"Workload {name} must be above 0, not {shown(getattr(self, name))}")
        window = np.asarray(self.window)
        if not np.issubdtype(window.dtype, np.number) or not bool(np.all(window > 0)):
            raise SpecError(f"Workload window must be above 0, not {shown(self.window)}")

    @property
    def tokens(self) -> Value:
        """Tokens of a sequence at the end."""
        return np.add(self.prompt, self.generated)

    @property
    def step_context(self) -> Value:
        """Tokens cached before a generated one, in the mean over all that are generated."""
        return self.mean_cached(self.prompt, self.tokens)

    @property
    def prompt_context(self) -> Value:
        """Tokens of the prompt that a token of it attends to, in the mean over all of them."""
        return self.mean_cached(0.0, self.prompt)

    def cached(self, tokens: Value) -> Value:
        """Return the tokens that stay cached of so many."""
        return np.minimum(tokens, self.window)

    def mean_cached(self, first: Value, last: Value) -> Value:
        """Return the tokens that stay cached of so many, in the mean over all numbers from `first` to `last`."""
        least, most = self.cached(first), self.cached(last)
        # As far as the cache grows it has half of both ends in the mean; where it is full, all of it.
        growing = np.subtract(most, least)
        full = np.subtract(np.subtract(last, first), growing)
        total = np.add(np.multiply(growing, np.divide(np.add(most, least), 2)), np.multiply(full, most))
        return np.clip(np.divide(total, np.subtract(last, first)), least, most)

    @property
    def layer_bytes(self) -> Bytes:
        """A layer's matrices."""
        return Bytes(self.network.layer_weights * self.weight_bits / 8)

    @property
    def weight_bytes(self) -> Bytes:
        """All matrices and the embedding."""
        return Bytes(self.network.weights * self.weight_bits / 8)

    def cache_bytes(self, tokens: Value) -> Bytes:
        """Return what one layer holds for all sequences, with so many tokens each."""
        return Bytes(np.multiply(np.multiply(self.network.cached_values * self.cache_bits / 8, self.batch), tokens))

    def hidden_bytes(self, tokens: Value) -> Bytes:
        """Return the residual stream of so many tokens of every sequence."""
        return Bytes(np.multiply(np.multiply(self.network.hidden * self.activation_bytes, self.batch), tokens))

    def layer_operations(self, tokens: Value) -> Operations:
        """Return the arithmetic of a layer's matrices for so many tokens of every sequence."""
        return Operations(np.multiply(np.multiply(2.0 * self.network.layer_weights, self.batch), tokens))

    def attention_operations(self, queries: Value, keys: Value) -> Operations:
        """Return the arithmetic of a layer's attention, scores and mixing, for every sequence."""
        pairs = np.multiply(np.multiply(queries, keys), self.batch)
        return Operations(np.multiply(4.0 * self.network.heads * self.network.head_dim, pairs))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes that crossed the border of one memory tier.

    tier: name of the memory, for example "device", "host" or "storage".
    read_bytes, write_bytes: bytes taken from it and put into it.
    """

    tier: str
    read_bytes: int = 0
    write_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("read_bytes", "write_bytes"):
            _check_count(f"Traffic {name}", getattr(self, name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ledger:
    """What some work moved and computed; ledgers add.

    traffic: at most one entry per tier.
    multiply_accumulates: scalar products accumulated.
    gathers: reads of runs that do not follow the previous run in memory.
    sorts: values that passed through a sort or a top-k selection.
    """

    traffic: tuple[Traffic, ...] = ()
    multiply_accumulates: int = 0
    gathers: int = 0
    sorts: int = 0

    def __post_init__(self) -> None:
        for name in ("multiply_accumulates", "gathers", "sorts"):
            _check_count(f"Ledger {name}", getattr(self, name))
        tiers = [entry.tier for entry in self.traffic]
        for tier in tiers:
            if tiers.count(tier) > 1:
                raise SpecError(f"Ledger tier must appear once, not {tiers.count(tier)} times: {shown(tier)}")

    def __add__(self, other: Ledger) -> Ledger:
        both = self.traffic + other.traffic
        traffic = [
            Traffic(
                tier=tier,
                read_bytes=sum(entry.read_bytes for entry in both if entry.tier == tier),
                write_bytes=sum(entry.write_bytes for entry in both if entry.tier == tier),
            )
            for tier in dict.fromkeys(entry.tier for entry in both)
        ]
        return Ledger(
            traffic=tuple(traffic),
            multiply_accumulates=self.multiply_accumulates + other.multiply_accumulates,
            gathers=self.gathers + other.gathers,
            sorts=self.sorts + other.sorts,
        )

    def read_bytes(self, tier: str | None = None) -> int:
        """Return the bytes read from `tier`, or from all tiers."""
        return sum(entry.read_bytes for entry in self.traffic if tier in (None, entry.tier))

    def write_bytes(self, tier: str | None = None) -> int:
        """Return the bytes written to `tier`, or to all tiers."""
        return sum(entry.write_bytes for entry in self.traffic if tier in (None, entry.tier))


def _check_count(subject: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{subject} must be a non-negative integer, not {shown(value)}")
