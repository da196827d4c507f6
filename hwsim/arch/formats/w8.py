"""W8: signed 8-bit codes in groups of 32 with a scale; GGUF Q8_0 weights keep their grid."""

import numpy as np

from hwsim.arch.formats.grouped import GroupedFormat
from hwsim.arch.stream_sizes import Format

__all__ = ["W8"]


class W8(GroupedFormat):
    """16 codes a data word, one a byte; two words a group."""

    format = Format.W8

    def pack_codes(self, codes: np.ndarray) -> np.ndarray:
        """Return data words, input order."""
        return codes.reshape(codes.shape[0], -1, 16)

    def unpack_codes(self, words: np.ndarray) -> np.ndarray:
        """Return codes as bytes in two's complement."""
        return words.reshape(words.shape[0], -1)
