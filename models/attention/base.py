"""Attention patterns: the rule that says which keys a query reads, and one layer's cache under such a rule."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hwsim.arch.workload import Ledger, Traffic

__all__ = ["BlockSegment", "Geometry", "LayerAttention", "Pattern", "Rotate", "Rounding", "Segment", "Span", "block_segments"]

# Rotates [heads, tokens, head_dim] by the positions [tokens].
Rotate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Maps [heads, tokens, head_dim] to the values that a coarser storage format would hold.
Rounding = Callable[[torch.Tensor], torch.Tensor]

# Queries whose scores are formed together in a prefill: large enough for fast matrix products, small
# enough that a window of 252 keys wastes little.
_BLOCK = 256

# Keys start, start + 1, ..., stop - 1, in absolute positions.
Span = tuple[int, int]


def _unrounded(values: torch.Tensor) -> torch.Tensor:
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
    round_query: Rounding = _unrounded
    round_cache: Rounding = _unrounded
    value_bits: int = 32


class Pattern(ABC):
    """Which keys a query reads; a value that compares, hashes and prints as `parse` reads it.

    A pattern whose choice depends on positions alone states `segments`, `capacity` and `slots` and gets everything else;
    one that looks at the queries also gives its own `LayerAttention`.
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

    @classmethod
    @abstractmethod
    def from_options(cls, options: str) -> "Pattern":
        """Return the pattern that the text after `<name>:` describes; SpecError otherwise."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the text that `models.attention.parse` turns back into an equal pattern."""

    def layer(self, geometry: Geometry) -> "LayerAttention":
        """Return an empty cache for one layer."""
        return LayerAttention(self, geometry)

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


@dataclass(frozen=True, kw_only=True)
class BlockSegment:
    """One segment of a whole block of queries.

    start, stop: keys that any query of the block reads in this segment.
    query_positions: [queries].
    bias: [queries, stop - start], zero where read and minus infinity elsewhere; None when all is read.
    pairs: query-key pairs read.
    """

    start: int
    stop: int
    query_positions: torch.Tensor
    bias: torch.Tensor | None
    pairs: int


@functools.lru_cache(maxsize=64)
def block_segments(pattern: Pattern, first: int, last: int) -> tuple[BlockSegment, ...]:
    """Return what the queries first .. last - 1 read, segment by segment."""
    planned = []
    for role in zip(*(pattern.segments(position) for position in range(first, last)), strict=True):
        filled = [segment for segment in role if segment.start < segment.stop]
        if not filled:
            continue
        start = min(segment.start for segment in filled)
        stop = max(segment.stop for segment in filled)
        starts = torch.tensor([segment.start for segment in role])[:, None]
        stops = torch.tensor([segment.stop for segment in role])[:, None]
        keys = torch.arange(start, stop)[None, :]
        read = (keys >= starts) & (keys < stops)
        bias = torch.zeros(read.shape).masked_fill_(~read, -math.inf)
        planned.append(
            BlockSegment(
                start=start,
                stop=stop,
                query_positions=torch.tensor([segment.query_position for segment in role]),
                bias=None if bool(read.all()) else bias,
                pairs=int(read.sum()),
            )
        )
    return tuple(planned)


class LayerAttention:
    """One layer's cache under a pattern, which holds no more keys than the pattern asks for.

    Queries, keys and values arrive unrotated, for consecutive tokens: queries as [heads, tokens, head_dim], keys and
    values as [kv_heads, tokens, head_dim]. Keys are stored rotated at their own position; queries are rotated once per
    segment.
    """

    def __init__(self, pattern: Pattern, geometry: Geometry) -> None:
        self._pattern = pattern
        self._geometry = geometry
        self._length = 0
        self._ledger = Ledger()
        self._keys = torch.empty((geometry.kv_heads, 0, geometry.head_dim))
        self._values = torch.empty((geometry.kv_heads, 0, geometry.head_dim))

    @property
    def length(self) -> int:
        """Number of tokens seen, hence the position of the next one."""
        return self._length

    def ledger(self) -> Ledger:
        """Return what all calls together moved and computed so far."""
        return self._ledger

    def append(self, k: torch.Tensor, v: torch.Tensor) -> None:
        """Put the tokens' keys and values into the cache."""
        self._store(*self._rounded(k, v))

    def prefill(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Append the tokens and return what their queries read, [heads, tokens, head_dim]."""
        keys, values = self._rounded(k, v)
        begin, end = self._length, self._length + q.shape[1]
        outputs = []
        for first in range(begin, end, _BLOCK):
            last = min(first + _BLOCK, end)
            segments = block_segments(self._pattern, first, last)
            read = [self._read(segment.start, segment.stop, keys, values) for segment in segments]
            outputs.append(self._block(q[:, first - begin : last - begin], segments, read))
            self._charge(segments, begin)
        self._store(keys, values)
        return torch.cat(outputs, dim=1)

    def select(self, q: torch.Tensor) -> torch.Tensor:
        """Return the absolute positions, ascending, of the keys that the newest token's query reads.

        q: [heads, 1, head_dim], the query of the token appended last.
        """
        runs = self._pattern.spans(self._length - 1, self._length)
        return torch.cat([torch.arange(start, stop) for start, stop in runs])

    def attend(self, q: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
        """Return what the newest token's query reads from the keys `idx`, [heads, 1, head_dim]."""
        position = self._length - 1
        segments, read = [], []
        for segment in self._pattern.segments(position):
            chosen = idx[(idx >= segment.start) & (idx < segment.stop)]
            if len(chosen) == 0:
                continue
            slots, own = self._pattern.slots(chosen), torch.tensor([segment.query_position])
            read.append((self._keys[:, slots], self._values[:, slots]))
            segments.append(BlockSegment(start=segment.start, stop=segment.stop, query_positions=own, bias=None, pairs=len(chosen)))
        self._spend(reads=len(idx), runs=_runs(idx), pairs=len(idx))
        return self._block(q, tuple(segments), read)

    def _rounded(self, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        positions = torch.arange(self._length, self._length + k.shape[1])
        rounding = self._geometry.round_cache
        return rounding(self._geometry.rotate(k, positions)), rounding(v)

    def _store(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        begin, end = self._length, self._length + keys.shape[1]
        self._grow(self._pattern.capacity(end))
        runs = [(max(start, begin), stop) for start, stop in self._pattern.kept(end) if stop > begin]
        positions = torch.cat([torch.arange(start, stop) for start, stop in runs])
        slots = self._pattern.slots(positions)
        self._keys[:, slots] = keys[:, positions - begin]
        self._values[:, slots] = values[:, positions - begin]
        self._length = end
        self._spend(writes=end - begin)

    def _grow(self, capacity: int) -> None:
        present = self._keys.shape[1]
        if capacity <= present:
            return
        added = torch.zeros((self._geometry.kv_heads, max(capacity, 2 * present) - present, self._geometry.head_dim))
        self._keys = torch.cat([self._keys, added], dim=1)
        self._values = torch.cat([self._values, added], dim=1)

    def _read(self, start: int, stop: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values start .. stop - 1, the older from the cache and the newer from the arguments."""
        begin = self._length
        new = slice(max(start - begin, 0), max(stop - begin, 0))
        if start >= begin:
            return keys[:, new], values[:, new]
        slots = self._pattern.slots(torch.arange(start, min(stop, begin)))
        return (torch.cat([self._keys[:, slots], keys[:, new]], dim=1), torch.cat([self._values[:, slots], values[:, new]], dim=1))

    def _block(
        self, q: torch.Tensor, segments: tuple[BlockSegment, ...], read: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> torch.Tensor:
        geometry = self._geometry
        group, queries = geometry.heads // geometry.kv_heads, q.shape[1]
        scores = []
        for segment, (keys, _) in zip(segments, read, strict=True):
            rotated = geometry.round_query(geometry.rotate(q, segment.query_positions))
            grouped = rotated.reshape(geometry.kv_heads, group * queries, geometry.head_dim)
            products = grouped @ keys.transpose(1, 2) / math.sqrt(geometry.head_dim)
            products = products.view(geometry.kv_heads, group, queries, -1)
            scores.append(products if segment.bias is None else products + segment.bias)
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
        values = torch.cat([entry for _, entry in read], dim=1)
        mixed = weights.view(geometry.kv_heads, group * queries, -1) @ values
        return mixed.view(geometry.heads, queries, geometry.head_dim)

    def _charge(self, segments: tuple[BlockSegment, ...], begin: int) -> None:
        """Charge the block's arithmetic, and the cache entries it reads from before this prefill."""
        reads = sum(min(segment.stop, begin) - segment.start for segment in segments if segment.start < begin)
        runs = sum(1 for segment in segments if segment.start < begin)
        pairs = sum(segment.pairs for segment in segments)
        self._spend(reads=reads, runs=runs, pairs=pairs)

    def _spend(self, *, reads: int = 0, runs: int = 0, writes: int = 0, pairs: int = 0) -> None:
        """Charge cache entries read, the contiguous runs they form, entries written, and query-key pairs of one head."""
        geometry = self._geometry
        entry_bits = 2 * geometry.kv_heads * geometry.head_dim * geometry.value_bits
        self._ledger += Ledger(
            traffic=(Traffic(tier="device", read_bytes=reads * entry_bits // 8, write_bytes=writes * entry_bits // 8),),
            multiply_accumulates=2 * geometry.heads * geometry.head_dim * pairs,
            gathers=runs,
        )


def _runs(idx: torch.Tensor) -> int:
    return 0 if len(idx) == 0 else 1 + int((idx[1:] != idx[:-1] + 1).sum())
