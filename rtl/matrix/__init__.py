"""MATRIX: slices, activation broadcast, drain and epilogue."""

from rtl.matrix.unit import Matrix, sources_of

__all__ = ["Matrix", "sources_of"]
