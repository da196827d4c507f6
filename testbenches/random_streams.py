"""Random but sane stream contents: words of every format whose results use their range without always saturating."""

import numpy as np

from hwsim.arch.complete import require_rows
from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS, CacheFormat, Format

__all__ = ["cache_pair", "port_bytes_of", "row_stream", "scale_bytes"]

_EXPONENTS = {Format.W4: (-40, -24), Format.W8: (-42, -26), Format.W2: (-38, -22), Format.W2S: (-37, -21)}
"""Row exponents that bring sums of about 30 bits to fixed values, by format."""
require_rows(_EXPONENTS, [each for each in Format if each.cache is None], what="exponents of random rows", module=__name__)
_KEY_EXPONENTS, _VALUE_EXPONENTS = (-30, -20), (-28, -12)


def scale_bytes(rng: np.random.Generator, count: int, low: int, high: int, zero_limit: int = 1) -> np.ndarray:
    """Return random parameter words uint8 [count, 4]; one mantissa in sixteen is zero, the others are normalized."""
    mantissa = rng.integers(32768, 65536, count) * (rng.random(count) > 1 / 16)
    entries = np.empty((count, 4), np.uint8)
    entries[:, 0], entries[:, 1] = mantissa & 0xFF, mantissa >> 8
    entries[:, 2] = rng.integers(low, high + 1, count) & 0xFF
    entries[:, 3] = rng.integers(0, zero_limit, count)
    return entries


def _sparse_words(rng: np.random.Generator, count: int) -> np.ndarray:
    codes = rng.integers(0, 96, (count, 16))
    stream = (codes[..., None] >> np.arange(7) & 1).astype(np.uint8).reshape(count, 112)
    scales, zeros = rng.integers(0, 256, (count, 1), dtype=np.uint8), rng.integers(0, 4, (count, 1), dtype=np.uint8)
    return np.concatenate([np.packbits(stream, axis=-1, bitorder="little"), scales, zeros], axis=1)


def _scale_words(rng: np.random.Generator, count: int, format_: Format) -> np.ndarray:
    pairs = rng.integers(0, 256, (count, format_.sizes.run_groups, 2), dtype=np.uint8)
    if format_ is Format.W2:
        pairs[..., 1] &= 3
    return pairs.reshape(count, 16)


def row_stream(rng: np.random.Generator, format_: Format, inner: int, blocks: int, slices: int) -> np.ndarray:
    """Return the stream of a DOT in a weight format, uint8 [slices, beats, 16], headers included."""
    sizes = format_.sizes
    beats: list[np.ndarray] = []
    for block in range(blocks):
        if block % sizes.header_blocks == 0:
            beats.append(scale_bytes(rng, sizes.header_blocks * slices, *_EXPONENTS[format_]).reshape(slices, 16))
        for group in range(LANES_PER_SLICE * inner // sizes.group):
            if format_ is Format.W2S:
                beats.append(_sparse_words(rng, slices))
                continue
            if group % sizes.run_groups == 0:
                beats.append(_scale_words(rng, slices, format_))
            beats.extend(rng.integers(0, 256, (sizes.group_words, slices, 16), dtype=np.uint8))
    return np.stack(beats, axis=1) if beats else np.zeros((slices, 0, 16), np.uint8)


def cache_pair(rng: np.random.Generator, format: CacheFormat, held: int, slices: int) -> np.ndarray:
    """Return the keys of two row blocks with their header, uint8 [slices, 1 + 2 * held, 16], of heads of `held` words."""
    words = rng.integers(0, 256, (slices, 1 + KEY_HEADER_BLOCKS * held, 16), dtype=np.uint8)
    limit = 1 << format.bits
    for half in range(KEY_HEADER_BLOCKS):
        words[:, 0, 8 * half : 8 * half + 4] = scale_bytes(rng, slices, *_KEY_EXPONENTS, zero_limit=limit)
        words[:, 0, 8 * half + 4 : 8 * half + 8] = scale_bytes(rng, slices, *_VALUE_EXPONENTS, zero_limit=limit)
    return words


def port_bytes_of(config: EngineConfig, words: np.ndarray) -> np.ndarray:
    """Return slice streams uint8 [slices, beats, 16] as they lie in the ports, uint8 [ports, beats * port_bytes]."""
    per_port = config.tile.slices_per_port
    return words.reshape(config.tile.ports, per_port, -1, 16).transpose(0, 2, 1, 3).reshape(config.tile.ports, -1)
