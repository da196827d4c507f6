"""MATRIX: slices, activation broadcast, drain and epilogue."""

from rtl.matrix.unit import Matrix

__all__ = ["Matrix"]
