"""The stream formats: weights by format, and the key-value cache."""

from hwsim.arch.formats.base import QuantizedMatrix, WeightFormat
from hwsim.arch.formats.kv4 import CacheLayout
from hwsim.arch.formats.w2 import W2
from hwsim.arch.formats.w2s import W2S
from hwsim.arch.formats.w4 import W4
from hwsim.arch.formats.w8 import W8
from hwsim.arch.isa import Format

__all__ = ["WEIGHT_FORMATS", "CacheLayout", "QuantizedMatrix", "WeightFormat"]

WEIGHT_FORMATS: dict[Format, WeightFormat] = {
    Format.W2: W2(),
    Format.W2S: W2S(),
    Format.W4: W4(),
    Format.W8: W8(),
}
