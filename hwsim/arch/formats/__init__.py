"""The stream formats: how weights are packed, by format, and where the key-value cache lies.

Their sizes are one table, hwsim/arch/stream_sizes.py, which the instruction set reads too.
"""

from hwsim.arch.formats.base import QuantizedMatrix, WeightFormat
from hwsim.arch.formats.cache import CacheLayout, CacheSizes
from hwsim.arch.formats.packed import MatrixSource, PackedMatrix, pack, packed_of, unpacked_of
from hwsim.arch.formats.weights import WEIGHT_FORMATS
from hwsim.arch.stream_sizes import SIZES, StreamSizes

__all__ = [
    "SIZES",
    "WEIGHT_FORMATS",
    "CacheLayout",
    "CacheSizes",
    "MatrixSource",
    "PackedMatrix",
    "QuantizedMatrix",
    "StreamSizes",
    "WeightFormat",
    "pack",
    "packed_of",
    "unpacked_of",
]
