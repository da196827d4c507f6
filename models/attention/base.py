"""Attention patterns: the rule that says which keys a query reads, and the five hooks by which a model uses one layer's cache."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hwsim.arch.workload import Ledger, Traffic

__all__ = ["Geometry", "LayerAttention", "Pattern", "Rotate", "Rounding", "Segment", "Span", "entry_ledger", "unrounded"]

# Rotates [heads, tokens, head_dim] by the positions [tokens].
Rotate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Maps [heads, tokens, head_dim] to the values that a coarser storage format would hold.
Rounding = Callable[[torch.Tensor], torch.Tensor]

# Keys start, start + 1, ..., stop - 1, in absolute positions.
Span = tuple[int, int]


def unrounded(values: torch.Tensor) -> torch.Tensor:
    """Return `values` as they are: the rounding of a cache that keeps floats."""
    return values


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of keys that one query reads, and the position the query is rotated to for them.

    start, stop: keys start .. stop - 1; empty when equal.
    query_position: position of the query in its products with these keys.
    """

    start: int
    stop: int
    query_position: int


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What a layer tells its attention.

    heads, kv_heads, head_dim: sizes; heads is a multiple of kv_heads.
    rotate: rotary embedding of queries and keys by position.
    round_query: applied to rotated queries.
    round_cache: applied to rotated keys, and to values, as they enter the cache.
    value_bits: stored width of one cached number, for the ledger.
    """

    heads: int
    kv_heads: int
    head_dim: int
    rotate: Rotate
    round_query: Rounding = unrounded
    round_cache: Rounding = unrounded
    value_bits: int = 32


class LayerAttention(ABC):
    """One layer's cache under a pattern, and the five hooks through which a model uses it.

    Queries, keys and values arrive unrotated, for consecutive tokens: queries as
    [heads, tokens, head_dim], keys and values as [kv_heads, tokens, head_dim].
    """

    @property
    @abstractmethod
    def length(self) -> int:
        """Number of tokens seen, hence the position of the next one."""

    @abstractmethod
    def prefill(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Append the tokens and return what their queries read, [heads, tokens, head_dim]."""

    @abstractmethod
    def append(self, k: torch.Tensor, v: torch.Tensor) -> None:
        """Put the tokens' keys and values into the cache."""

    @abstractmethod
    def select(self, q: torch.Tensor) -> torch.Tensor:
        """Return the absolute positions, ascending, of the keys that the newest token's query reads.

        q: [heads, 1, head_dim], the query of the token appended last.
        """

    @abstractmethod
    def attend(self, q: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
        """Return what the newest token's query reads from the keys `idx`, [heads, 1, head_dim]."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """Return what all hooks together moved and computed so far."""


class Pattern(ABC):
    """Which keys a query reads; a value that compares, hashes and prints as `parse` reads it.

    A pattern whose choice depends on positions alone states `segments` and gets everything else; one
    that looks at the queries also gives its own `LayerAttention`.
    """

    @abstractmethod
    def segments(self, position: int) -> tuple[Segment, ...]:
        """Return the keys that the query at `position` reads, ascending and disjoint.

        Every position gives equally many segments, of which some may be empty.
        """

    @abstractmethod
    def capacity(self, length: int) -> int:
        """Return how many keys a cache must hold once `length` tokens have been seen."""

    @abstractmethod
    def slots(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the cache slots, below `capacity`, at which the keys of `positions` live."""

    @abstractmethod
    def layer(self, geometry: Geometry) -> LayerAttention:
        """Return an empty cache for one layer."""

    @classmethod
    @abstractmethod
    def from_options(cls, options: str) -> "Pattern":
        """Return the pattern that the text after `<name>:` describes; SpecError otherwise."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the text that `models.attention.parse` turns back into an equal pattern."""

    def kept(self, length: int) -> tuple[Span, ...]:
        """Return the keys that a cache must still hold once `length` tokens have been seen.

        By default those that the newest query reads; this is right when a key that one query skips is never read later.
        """
        return self.spans(length - 1, length) if length else ()

    def spans(self, start: int, stop: int) -> tuple[Span, ...]:
        """Return the keys that the queries start .. stop - 1 read between them: ascending, disjoint, not adjacent."""
        runs = sorted(
            (segment.start, segment.stop)
            for position in range(start, stop)
            for segment in self.segments(position)
            if segment.start < segment.stop
        )
        merged: list[Span] = []
        for first, last in runs:
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return tuple(merged)

    def mask(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return which of `keys` each of `queries` reads, as booleans [queries, keys].

        queries, keys: absolute positions, one-dimensional.
        """
        rows = []
        for position in queries.tolist():
            row = torch.zeros(keys.shape, dtype=torch.bool)
            for segment in self.segments(position):
                row |= (keys >= segment.start) & (keys < segment.stop)
            rows.append(row)
        return torch.stack(rows) if rows else torch.zeros((0, *keys.shape), dtype=torch.bool)

    def step_ledger(self, position: int, geometry: Geometry) -> Ledger:
        """Return the cost of attention at one decode step of one layer, from the rule alone."""
        runs = self.spans(position, position + 1)
        return entry_ledger(geometry, reads=sum(stop - start for start, stop in runs), runs=len(runs), writes=1)


def entry_ledger(geometry: Geometry, *, reads: int, runs: int, writes: int, pairs: int | None = None) -> Ledger:
    """Return the cost of reading and writing cache entries of one layer.

    reads: tokens whose key and value are read from the cache.
    runs: contiguous runs that these tokens form.
    writes: tokens whose key and value are stored.
    pairs: query-key pairs of one head; `reads` when each token read meets one query.
    """
    entry_bits = 2 * geometry.kv_heads * geometry.head_dim * geometry.value_bits
    met = reads if pairs is None else pairs
    return Ledger(
        traffic=(Traffic(tier="device", read_bytes=reads * entry_bits // 8, write_bytes=writes * entry_bits // 8),),
        multiply_accumulates=2 * geometry.heads * geometry.head_dim * met,
        gathers=runs,
    )
