"""The stream formats: weights by format, and the key-value cache."""

from hwsim.arch.formats.base import QuantizedMatrix, WeightFormat
from hwsim.arch.formats.cache import CacheLayout
from hwsim.arch.formats.packed import MatrixSource, PackedMatrix, pack, packed_of, unpacked_of
from hwsim.arch.formats.table import WEIGHT_FORMATS

__all__ = [
    "WEIGHT_FORMATS",
    "CacheLayout",
    "MatrixSource",
    "PackedMatrix",
    "QuantizedMatrix",
    "WeightFormat",
    "pack",
    "packed_of",
    "unpacked_of",
]
