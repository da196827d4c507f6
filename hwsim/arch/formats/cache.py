"""Layout of the cache: where keys and values of a token lie, in 4 or 8 bits, with a scale and a zero point per token and head."""

from __future__ import annotations

import dataclasses
import functools
from typing import Generic

from hwsim.arch.config import EngineConfig
from hwsim.arch.counts import Count, larger
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS, WORD_BITS, CacheFormat
from hwsim.errors import ScheduleError

__all__ = ["BEAT_TOKENS", "HEAD_DIMS", "CacheLayout", "CacheSizes"]

HEAD_DIMS = (32, 64, 128)
"""Elements of a head that a cache may have."""
BEAT_TOKENS = 64
"""Tokens whose values a beat may hold: the matrix unit takes one segment of their coefficients (docs/engine.md)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheSizes(Generic[Count]):
    """The sizes of the cache of one KV head of one layer, of one engine or, as arrays, of each of several.

    Attributes:
        slices: slices of the engine.
        lanes: vector lanes, to which the score regions align.
        head_dim: elements of a head.
        sinks: tokens kept for good, from position 0.
        window: tokens of the ring.
        format: how wide codes are.
    """

    slices: Count
    lanes: Count
    head_dim: Count
    sinks: Count
    window: Count
    format: CacheFormat = CacheFormat.KV4

    @functools.cached_property
    def words(self) -> Count:
        """128-bit words of a head."""
        return self.format.words(self.head_dim)

    @functools.cached_property
    def _align(self) -> Count:
        return larger(self.slices, self.lanes)

    @functools.cached_property
    def sink_slots(self) -> Count:
        """Slots a run over the sinks reads: whole row blocks and whole vector words."""
        return -(-self.sinks // self._align) * self._align

    @functools.cached_property
    def sink_tokens(self) -> Count:
        """Sinks rounded up to whole vector words and whole beats of values."""
        whole = larger(self.lanes, self.slices // self.words)
        return -(-self.sinks // whole) * whole

    @functools.cached_property
    def ring_start(self) -> Count:
        """First slot of the ring: the sink region rounded up to whole header pairs."""
        pair = KEY_HEADER_BLOCKS * self._align
        return -(-self.sinks // pair) * pair

    @functools.cached_property
    def ring_slots(self) -> Count:
        """Slots of a full ring, in whole row blocks and vector words."""
        return -(-self.window // self._align) * self._align

    @functools.cached_property
    def slots(self) -> Count:
        """Slots in all, rounded up to whole header pairs."""
        pair = KEY_HEADER_BLOCKS * self._align
        return self.ring_start + -(-self.window // pair) * pair

    @functools.cached_property
    def key_beats(self) -> Count:
        """Beats of the key region."""
        return self.key_run_beats(self.slots)

    @functools.cached_property
    def value_beats(self) -> Count:
        """Beats of the value region."""
        return self.slots * self.words // self.slices

    def key_run_beats(self, slots: Count) -> Count:
        """Beats of `slots` slots of keys, from an even row block on, headers included."""
        return self.format.keys.sizes.stream_words(slots // self.slices, self.head_dim)

    def key_offset(self, slot: Count) -> Count:
        """Return the beat at which the keys from `slot` (an even row block) on start."""
        return self.key_run_beats(slot // self.slices // KEY_HEADER_BLOCKS * KEY_HEADER_BLOCKS * self.slices)

    def value_offset(self, slot: Count) -> Count:
        """Return the beat at which the values from `slot` on start."""
        return slot * self.words // self.slices


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheLayout(CacheSizes[int]):
    """The cache of one KV head of one layer on an engine: a sink region, then a ring region, in slots of one token."""

    def __post_init__(self) -> None:
        elements, name = WORD_BITS // self.format.bits, self.format.name.lower()
        if self.head_dim not in HEAD_DIMS or self.words > self.slices:
            raise ScheduleError(
                f"Head dimension of a {name} cache must be 32, 64 or 128 and at most {elements} x {self.slices} slices,"
                f" not {self.head_dim}"
            )
        if self.words > self.lanes:
            raise ScheduleError(
                f"Head dimension of a {name} cache must be at most {elements} x {self.lanes} vector lanes, not {self.head_dim}"
            )
        beat = self.slices // self.words
        if beat > BEAT_TOKENS:
            raise ScheduleError(
                f"Head dimension of a {name} cache must leave at most {BEAT_TOKENS} tokens in a beat of {self.slices} slices,"
                f" not {beat} as {self.head_dim} does"
            )

    @classmethod
    def of(cls, engine: EngineConfig, format: CacheFormat, head_dim: int, sinks: int, window: int) -> CacheLayout:
        """Return the layout on an engine."""
        slices, lanes = engine.tile.slices, engine.vector.lanes
        return cls(slices=slices, lanes=lanes, head_dim=head_dim, sinks=sinks, window=window, format=format)

    def slot_of(self, position: int) -> int:
        """Return the slot of the token at `position`."""
        if position < self.sinks:
            return position
        return self.ring_start + (position - self.sinks) % self.window
