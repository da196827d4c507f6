"""W2: dense 2-bit codes minus a group zero, in groups of 64."""

import numpy as np

from hwsim.arch.formats.grouped import GroupedFormat
from hwsim.arch.stream_sizes import Format

__all__ = ["W2"]


class W2(GroupedFormat):
    """64 codes a data word, input i in bits 2i .. 2i+1; read in two cycles."""

    format = Format.W2

    def pack_codes(self, codes: np.ndarray) -> np.ndarray:
        """Return data words, four codes a byte, lowest bits first."""
        four = codes.reshape(codes.shape[0], -1, 16, 4)
        return four[..., 0] | four[..., 1] << 2 | four[..., 2] << 4 | four[..., 3] << 6

    def unpack_codes(self, words: np.ndarray) -> np.ndarray:
        """Return codes 0 .. 3."""
        return np.stack([words >> shift & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(words.shape[0], -1)
