"""The cache of a text in progress: codes of keys and values of sinks and ring, per layer and head."""

import numpy as np

from models.config import ModelConfig
from models.integer.ops import KvEntry

__all__ = ["LayerCache", "State"]

_FIRST_SLOTS = 64


class LayerCache:
    """Keys or values of one layer: sinks in slots 0 .. sinks - 1, then the ring, allocated as it fills.

    codes: uint8 [kv_heads, slots, head_dim].
    mantissa, exponent, zero: int64 [kv_heads, slots].
    """

    def __init__(self, kv_heads: int, head_dim: int) -> None:
        self.codes = np.zeros((kv_heads, 0, head_dim), np.uint8)
        self.mantissa = np.zeros((kv_heads, 0), np.int64)
        self.exponent = np.zeros((kv_heads, 0), np.int64)
        self.zero = np.zeros((kv_heads, 0), np.int64)

    def reserve(self, slots: int) -> None:
        """Make room for `slots` slots; new ones are zero."""
        missing = slots - self.codes.shape[1]
        if missing <= 0:
            return
        self.codes = np.pad(self.codes, ((0, 0), (0, missing), (0, 0)))
        self.mantissa, self.exponent, self.zero = (
            np.pad(array, ((0, 0), (0, missing))) for array in (self.mantissa, self.exponent, self.zero)
        )

    def write(self, slots: np.ndarray, entry: KvEntry) -> None:
        """Put heads, [kv_heads, tokens, head_dim], into the distinct `slots`, one per token."""
        self.codes[:, slots] = entry.codes
        self.mantissa[:, slots], self.exponent[:, slots] = entry.scale
        self.zero[:, slots] = entry.zero

    def read(self, slots: np.ndarray) -> KvEntry:
        """Return the heads in `slots`; their codes are int64."""
        scale = self.mantissa[:, slots], self.exponent[:, slots]
        return KvEntry(self.codes[:, slots].astype(np.int64), scale, self.zero[:, slots])


class State:
    """A text in progress.

    length: tokens fed so far, hence the position of the next one.
    keys, values: one cache per layer.
    """

    def __init__(self, config: ModelConfig, *, sinks: int, window: int) -> None:
        self.length = 0
        self.sinks = sinks
        self.window = window
        self.keys = [LayerCache(config.kv_heads, config.head_dim) for _ in range(config.layers)]
        self.values = [LayerCache(config.kv_heads, config.head_dim) for _ in range(config.layers)]

    def slots_of(self, positions: np.ndarray) -> np.ndarray:
        """Return the slots of the tokens at `positions`."""
        ring = self.sinks + (positions - self.sinks) % self.window
        return np.where(positions < self.sinks, positions, ring)

    def valid(self, length: int) -> tuple[int, int]:
        """Return how many sinks and how many slots of the ring hold a token once `length` tokens were fed."""
        return min(length, self.sinks), min(max(length - self.sinks, 0), self.window)

    def kept(self, length: int) -> np.ndarray:
        """Return the positions held once `length` tokens were fed, ascending."""
        sinks, ring = self.valid(length)
        return np.concatenate([np.arange(sinks), np.arange(length - ring, length)])

    def reserve(self, length: int) -> None:
        """Make room for a text of `length` tokens."""
        needed = sum(self.valid(length))
        present = self.keys[0].codes.shape[1]
        if needed <= present:
            return
        room = min(max(needed, 2 * present, _FIRST_SLOTS), self.sinks + self.window)
        for cache in (*self.keys, *self.values):
            cache.reserve(room)
