"""The vector unit: normalization, quantization, gates, rotation, softmax and the codes of the cache."""

from rtl.vector.unit import Vector

__all__ = ["Vector"]
