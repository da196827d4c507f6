"""W2S: 2-bit codes on a 2:4 pattern, 7 bits for four inputs: exactly 2.00 bits a dense weight with scale and zero."""

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import QuantizedMatrix, WeightFormat
from hwsim.arch.formats.patterns import PATTERNS
from hwsim.arch.formats.sharing import FEWEST_ROWS, in_parts
from hwsim.arch.stream_sizes import Format

__all__ = ["W2S"]

_FIRST = np.array([a for a, _ in PATTERNS])
_SECOND = np.array([b for _, b in PATTERNS])
_NUMBER = np.full(16, -1)
for _index, (_a, _b) in enumerate(PATTERNS):
    _NUMBER[1 << _a | 1 << _b] = _index


class W2S(WeightFormat):
    """One word holds 64 inputs of a row: block i in bits 7i .. 7i+6, scale in byte 14, zero in byte 15."""

    format = Format.W2S

    def pack_body(self, matrix: QuantizedMatrix) -> np.ndarray:
        """Return the rows' bodies."""
        assert matrix.kept is not None
        rows, inputs = matrix.shape
        kept = matrix.kept.reshape(rows, -1, 4)
        codes = matrix.codes.reshape(rows, -1, 4).astype(np.int64)
        pattern = _NUMBER[(kept * np.array([1, 2, 4, 8])).sum(axis=-1)]
        first = np.take_along_axis(codes, _FIRST[pattern][..., None], axis=-1)[..., 0]
        second = np.take_along_axis(codes, _SECOND[pattern][..., None], axis=-1)[..., 0]
        block = (pattern * 16 + second * 4 + first).reshape(rows, inputs // 64, 16)
        stream = (block[..., None] >> np.arange(7) & 1).astype(np.uint8).reshape(rows, inputs // 64, 112)
        words = np.packbits(stream, axis=-1, bitorder="little")
        pair = np.stack([matrix.scale, matrix.offset.view(np.uint8)], axis=-1)
        return np.concatenate([words, pair], axis=-1)

    def unpack_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in the bodies; codes of pattern 6 and 7 do not occur in valid words."""
        rows = words.shape[0]
        stream = np.unpackbits(words[..., :14], axis=-1, bitorder="little").reshape(rows, -1, 16, 7)
        block = (stream.astype(np.int64) << np.arange(7)).sum(axis=-1).reshape(rows, -1)
        pattern = np.minimum(block >> 4, 5)
        codes = np.zeros((rows, block.shape[1], 4), np.uint8)
        kept = np.zeros(codes.shape, np.bool_)
        for position, value in ((_FIRST[pattern], block & 3), (_SECOND[pattern], block >> 2 & 3)):
            np.put_along_axis(codes, position[..., None], value[..., None].astype(np.uint8), axis=-1)
            np.put_along_axis(kept, position[..., None], True, axis=-1)
        mantissa, exponent = self.unit_scales(rows)
        return QuantizedMatrix(
            format=self.format,
            codes=codes.reshape(rows, inputs),
            kept=kept.reshape(rows, inputs),
            scale=np.ascontiguousarray(words[..., 14]),
            offset=np.ascontiguousarray(words[..., 15]).view(np.int8),
            mantissa=mantissa,
            exponent=exponent,
        )

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the rows' bodies, compiled."""
        assert matrix.kept is not None
        kernels.pack_w2s(matrix.codes, matrix.kept, matrix.scale, matrix.offset.view(np.uint8), body.view(np.uint64))

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in the bodies, compiled and shared among threads."""
        rows = words.shape[0]
        codes, kept = np.zeros((rows, inputs), np.uint8), np.zeros((rows, inputs), np.bool_)
        wide = words.view(np.uint64)
        in_parts(lambda part: kernels.unpack_w2s(wide[part], codes[part], kept[part]), rows, FEWEST_ROWS)
        mantissa, exponent = self.unit_scales(rows)
        return QuantizedMatrix(
            format=self.format,
            codes=codes,
            kept=kept,
            scale=np.ascontiguousarray(words[..., 14]),
            offset=np.ascontiguousarray(words[..., 15]).view(np.int8),
            mantissa=mantissa,
            exponent=exponent,
        )

    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum, compiled; -1 when a block code is too large."""
        return int(kernels.reach_w2s(words.view(np.uint64)))
