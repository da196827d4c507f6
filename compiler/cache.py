"""The key-value cache in a memory image: what the integer reference keeps, in the engine's layout, and back."""

import numpy as np

from compiler.target.memory import MemoryMap
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheFormat, CacheKind
from hwsim.arch.program import MemoryImage
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from models.integer.cache import LayerCache, State
from models.integer.ops import KvEntry

__all__ = ["read_cache", "write_cache"]


class _Window:
    """The 16-byte words of one head's cache, addressed by port, beat and slice of the port."""

    def __init__(self, image: MemoryImage, memory: MemoryMap, engine: EngineConfig, state: State):
        tile = engine.tile
        self.words: np.ndarray = image.ports.reshape(tile.ports, -1, tile.slices_per_port, 16)
        self._slices, self._per_port = tile.slices, tile.slices_per_port
        self._memory = memory
        own = np.arange(sum(state.valid(state.length)))
        # The engine's slots of those that the reference has filled.
        self._slots = np.where(own < state.sinks, own, own - state.sinks + memory.cache.ring_start)

    def keys(self, layer: int, head: int) -> tuple[np.ndarray, ...]:
        """Return the index of the key words, [slots, words]."""
        words, block = self._memory.cache.words, self._slots // self._slices % KEY_HEADER_BLOCKS
        beat = self._header_beat(layer, head)[:, None] + 1 + (block * words)[:, None] + np.arange(words)
        return self._index(beat, self._slots[:, None] % self._slices)

    def values(self, layer: int, head: int) -> tuple[np.ndarray, ...]:
        """Return the index of the value words, [slots, words]."""
        words = self._memory.cache.words
        per_beat = self._slices // words
        beat = self._start(layer) + self._memory.value_start(head) + self._slots // per_beat
        return self._index(beat[:, None], (self._slots % per_beat * words)[:, None] + np.arange(words))

    def entries(self, layer: int, head: int, kind: CacheKind) -> tuple[np.ndarray, ...]:
        """Return the index of the bytes of the entries in the header words, [slots, 4]."""
        first = self._slots // self._slices % KEY_HEADER_BLOCKS * 8 + 4 * kind
        word = self._index(self._header_beat(layer, head)[:, None], self._slots[:, None] % self._slices)
        return (*word, first[:, None] + np.arange(4))

    def _start(self, layer: int) -> int:
        return self._memory.cache_start + layer * self._memory.cache_layer_beats

    def _header_beat(self, layer: int, head: int) -> np.ndarray:
        pair = self._slots // self._slices // KEY_HEADER_BLOCKS
        start = self._start(layer) + self._memory.key_start(head)
        beats: np.ndarray = start + pair * (1 + KEY_HEADER_BLOCKS * self._memory.cache.words)
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
    window = _Window(image, memory, engine, state)
    count, format = sum(state.valid(state.length)), memory.cache.format
    for layer, (keys, values) in enumerate(zip(state.keys, state.values, strict=True)):
        for head in range(keys.codes.shape[0]):
            window.words[window.keys(layer, head)] = _words(keys.codes[head, :count], CacheKind.KEY, format)
            window.words[window.values(layer, head)] = _words(values.codes[head, :count], CacheKind.VALUE, format)
            for kind, cache in ((CacheKind.KEY, keys), (CacheKind.VALUE, values)):
                window.words[window.entries(layer, head, kind)] = _parameter_bytes(cache, head, count)


def read_cache(image: MemoryImage, memory: MemoryMap, engine: EngineConfig, state: State) -> tuple[list[KvEntry], list[KvEntry]]:
    """Return keys and values of every layer as the image holds them, for the slots that `state` has filled."""
    window = _Window(image, memory, engine, state)

    def entry(layer: int, kind: CacheKind) -> KvEntry:
        heads = range(state.keys[layer].codes.shape[0])
        places = window.keys if kind is CacheKind.KEY else window.values
        codes = [_codes(window.words[places(layer, head)], kind, memory.cache.format) for head in heads]
        parts = np.stack([window.words[window.entries(layer, head, kind)] for head in heads])
        mantissa = parts[..., 0].astype(np.int64) | parts[..., 1].astype(np.int64) << 8
        exponent = parts[..., 2].view(np.int8).astype(np.int64)
        return KvEntry(np.stack(codes), (mantissa, exponent), parts[..., 3].astype(np.int64))

    layers = range(len(state.keys))
    return [entry(layer, CacheKind.KEY) for layer in layers], [entry(layer, CacheKind.VALUE) for layer in layers]
