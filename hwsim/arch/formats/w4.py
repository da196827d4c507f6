"""W4: unsigned 4-bit codes in groups of 32 with scale and offset; GGUF Q4_1 weights keep their grid."""

import numpy as np

from hwsim.arch.formats.grouped import GroupedFormat
from hwsim.arch.stream_sizes import Format

__all__ = ["W4"]


class W4(GroupedFormat):
    """32 codes a data word, lane l in bits 4l .. 4l+3."""

    format = Format.W4

    def pack_codes(self, codes: np.ndarray) -> np.ndarray:
        """Return data words, two codes a byte, low nibble first."""
        pairs = codes.reshape(codes.shape[0], -1, 16, 2)
        return pairs[..., 0] | pairs[..., 1] << 4

    def unpack_codes(self, words: np.ndarray) -> np.ndarray:
        """Return codes 0 .. 15."""
        return np.stack([words & 15, words >> 4], axis=-1).reshape(words.shape[0], -1)
