"""The key-value cache in a memory image: what the integer reference keeps, in the engine's layout, and back."""

from __future__ import annotations

import numpy as np

from compiler.target.memory_map import MemoryMap
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheFormat, CacheKind
from hwsim.arch.program import MemoryImage
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from models.integer.cache import LayerCache, State
from models.integer.ops import KvEntry

__all__ = ["read_cache", "write_cache"]


class _Window:
    """The 16-byte words of one head's cache, addressed by beat and slice."""

    def __init__(self, image: MemoryImage, memory: MemoryMap, engine: EngineConfig):
        tile = engine.tile
        self._words = image.ports.reshape(tile.ports, -1, tile.slices_per_port, 16)
        self._slices, self._per_port = tile.slices, tile.slices_per_port
        self._memory = memory

    def slots(self, state: State, count: int) -> np.ndarray:
        """Return the engine's slots of the reference's first `count` slots."""
        own = np.arange(count)
        return np.where(own < state.sinks, own, own - state.sinks + self._memory.cache.ring_start)

    def keys(self, layer: int, head: int, slots: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the index of the key words, [slots, words]."""
        words, block = self._memory.cache.words, slots // self._slices
        beat = self._header_beat(layer, head, slots)[:, None] + 1 + (block % KEY_HEADER_BLOCKS * words)[:, None] + np.arange(words)
        return self._index(beat, np.repeat((slots % self._slices)[:, None], words, axis=1))

    def headers(self, layer: int, head: int, slots: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the index of the header words, [slots]."""
        return self._index(self._header_beat(layer, head, slots), slots % self._slices)

    def values(self, layer: int, head: int, slots: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the index of the value words, [slots, words]."""
        words = self._memory.cache.words
        start = self._start(layer) + self._memory.value_start(head)
        per_beat = self._slices // words
        beat = np.repeat((start + slots // per_beat)[:, None], words, axis=1)
        return self._index(beat, (slots % per_beat * words)[:, None] + np.arange(words))

    def entry_bytes(self, slots: np.ndarray) -> np.ndarray:
        """Return the first byte of each slot's header entry."""
        return slots // self._slices % KEY_HEADER_BLOCKS * 8

    def read(self, index: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return the words at an index, uint8 [..., 16]."""
        words: np.ndarray = self._words[index]
        return words

    def write(self, index: tuple[np.ndarray, ...], words: np.ndarray) -> None:
        """Set the words at an index."""
        self._words[index] = words

    def _start(self, layer: int) -> int:
        return self._memory.cache_start + layer * self._memory.cache_layer_beats

    def _header_beat(self, layer: int, head: int, slots: np.ndarray) -> np.ndarray:
        pair = slots // self._slices // KEY_HEADER_BLOCKS
        beats: np.ndarray = (
            self._start(layer) + self._memory.key_start(head) + pair * (1 + KEY_HEADER_BLOCKS * self._memory.cache.words)
        )
        return beats

    def _index(self, beat: np.ndarray, slices: np.ndarray) -> tuple[np.ndarray, ...]:
        return slices // self._per_port, beat, slices % self._per_port


def _words(codes: np.ndarray, kind: CacheKind, format: CacheFormat) -> np.ndarray:
    """Return words uint8 [tokens, words, 16] of the codes of a head [tokens, elements]."""
    tokens, planes, held = len(codes), format.planes, codes.shape[1] // 32
    parts = codes.reshape(tokens, held, 32) if kind is CacheKind.KEY else codes.reshape(tokens, 32, held).transpose(0, 2, 1)
    nibbles = (parts[:, :, None] >> 4 * np.arange(planes)[:, None] & 15).reshape(tokens, held * planes, 32)
    return (nibbles[..., 0::2] | nibbles[..., 1::2] << 4).astype(np.uint8)


def _codes(words: np.ndarray, kind: CacheKind, format: CacheFormat) -> np.ndarray:
    """Return the codes int64 [tokens, elements] in the words of a head; inverse of `_words`."""
    tokens, planes, held = len(words), format.planes, words.shape[1] // format.planes
    nibbles = np.stack([words & 15, words >> 4], axis=-1).reshape(tokens, held, planes, 32).astype(np.int64)
    parts = (nibbles << 4 * np.arange(planes)[:, None]).sum(axis=2)
    return (parts if kind is CacheKind.KEY else parts.transpose(0, 2, 1)).reshape(tokens, 32 * held)


def _parameter_bytes(cache: LayerCache, head: int, count: int) -> np.ndarray:
    mantissa, exponent, zero = (part[head, :count] for part in (cache.mantissa, cache.exponent, cache.zero))
    return np.stack([mantissa & 0xFF, mantissa >> 8, exponent & 0xFF, zero], axis=-1).astype(np.uint8)


def write_cache(image: MemoryImage, memory: MemoryMap, engine: EngineConfig, state: State) -> None:
    """Put everything the reference keeps into the image."""
    window = _Window(image, memory, engine)
    count, format = sum(state.valid(state.length)), memory.cache.format
    slots = window.slots(state, count)
    for layer, (keys, values) in enumerate(zip(state.keys, state.values, strict=True)):
        for head in range(keys.codes.shape[0]):
            window.write(window.keys(layer, head, slots), _words(keys.codes[head, :count], CacheKind.KEY, format))
            window.write(window.values(layer, head, slots), _words(values.codes[head, :count], CacheKind.VALUE, format))
            for kind, cache in enumerate((keys, values)):
                parameter = _parameter_bytes(cache, head, count)
                first = window.entry_bytes(slots) + 4 * kind
                # Two slots share a header word, so each block parity is a separate read and write.
                for parity in range(KEY_HEADER_BLOCKS):
                    mine = window.entry_bytes(slots) == 8 * parity
                    index = window.headers(layer, head, slots[mine])
                    header = window.read(index)
                    header[np.arange(len(header))[:, None], first[mine][:, None] + np.arange(4)] = parameter[mine]
                    window.write(index, header)


def read_cache(image: MemoryImage, memory: MemoryMap, engine: EngineConfig, state: State) -> tuple[list[KvEntry], list[KvEntry]]:
    """Return keys and values of every layer as the image holds them, for the slots that `state` has filled."""
    window = _Window(image, memory, engine)
    count, format = sum(state.valid(state.length)), memory.cache.format
    slots = window.slots(state, count)
    keys: list[KvEntry] = []
    values: list[KvEntry] = []
    for layer in range(len(state.keys)):
        parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        entries: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for head in range(state.keys[layer].codes.shape[0]):
            parts[0].append(_codes(window.read(window.keys(layer, head, slots)), CacheKind.KEY, format))
            parts[1].append(_codes(window.read(window.values(layer, head, slots)), CacheKind.VALUE, format))
            header = window.read(window.headers(layer, head, slots)).astype(np.int64)
            for kind in range(2):
                first = window.entry_bytes(slots)[:, None] + 4 * kind + np.arange(4)
                entries[kind].append(np.take_along_axis(header, first, axis=1))
        for kind, target in enumerate((keys, values)):
            entry = np.stack(entries[kind])
            exponent = entry[..., 2].astype(np.uint8).view(np.int8).astype(np.int64)
            scale = entry[..., 0] | entry[..., 1] << 8, exponent
            target.append(KvEntry(np.stack(parts[kind]), scale, entry[..., 3]))
    return keys, values
