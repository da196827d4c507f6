"""The layer cache of every pattern whose choice of keys depends on positions alone."""

import functools
import math
from dataclasses import dataclass

import torch

from hwsim.arch.workload import Ledger
from models.attention.base import Geometry, LayerAttention, Pattern, entry_ledger

__all__ = ["BlockSegment", "PositionalAttention", "block_segments"]

# Queries whose scores are formed together in a prefill: large enough for fast matrix products, small
# enough that a window of 252 keys wastes little.
_BLOCK = 256


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


class PositionalAttention(LayerAttention):
    """One layer's cache, holding no more keys than the pattern asks for.

    Keys are stored rotated at their own position; queries are rotated once per segment.
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
        return self._length

    def ledger(self) -> Ledger:
        return self._ledger

    def append(self, k: torch.Tensor, v: torch.Tensor) -> None:
        self._store(*self._rounded(k, v))

    def prefill(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
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
        runs = self._pattern.spans(self._length - 1, self._length)
        return torch.cat([torch.arange(start, stop) for start, stop in runs])

    def attend(self, q: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
        position = self._length - 1
        segments, read = [], []
        for segment in self._pattern.segments(position):
            chosen = idx[(idx >= segment.start) & (idx < segment.stop)]
            if len(chosen) == 0:
                continue
            slots = self._pattern.slots(chosen)
            read.append((self._keys[:, slots], self._values[:, slots]))
            segments.append(
                BlockSegment(
                    start=segment.start,
                    stop=segment.stop,
                    query_positions=torch.tensor([segment.query_position]),
                    bias=None,
                    pairs=len(chosen),
                )
            )
        self._ledger += entry_ledger(self._geometry, reads=len(idx), runs=_runs(idx), writes=0)
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
        self._ledger += entry_ledger(self._geometry, reads=0, runs=0, writes=end - begin)

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
        self._ledger += entry_ledger(self._geometry, reads=reads, runs=runs, writes=0, pairs=pairs)


def _runs(idx: torch.Tensor) -> int:
    return 0 if len(idx) == 0 else 1 + int((idx[1:] != idx[:-1] + 1).sum())
