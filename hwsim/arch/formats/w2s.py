"""W2S: 2-bit codes on a 2:4 pattern, 7 bits for four inputs: exactly 2.00 bits a dense weight with scale and zero."""

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import QuantizedMatrix, WeightFormat
from hwsim.arch.formats.sharing import FEWEST_ROWS, in_parts
from hwsim.arch.stream_sizes import Format

__all__ = ["W2S"]


class W2S(WeightFormat):
    """One word holds 64 inputs of a row: block i in bits 7i .. 7i+6, scale in byte 14, zero in byte 15."""

    format = Format.W2S

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the rows' bodies, compiled."""
        assert matrix.kept is not None
        kernels.pack_w2s(matrix.codes, matrix.kept, matrix.scale, matrix.offset.view(np.uint8), body.view(np.uint64))

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in the bodies, compiled and shared among threads."""
        rows, wide = len(words), words.view(np.uint64)
        codes, kept = np.zeros((rows, inputs), np.uint8), np.zeros((rows, inputs), np.bool_)
        in_parts(lambda part: kernels.unpack_w2s(wide[part], codes[part], kept[part]), rows, FEWEST_ROWS)
        return self.unscaled(codes, kept, words[..., 14], words[..., 15])

    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum, compiled; -1 when a block code is too large."""
        return int(kernels.reach_w2s(words.view(np.uint64)))
