"""The integer weights in the forms that the reference multiplies with, unpacked when first needed."""

from __future__ import annotations

import numpy as np

from hwsim.arch.formats import unpacked_of
from models.integer.model import IntegerModel
from models.integer.products import Factor

__all__ = ["Weights"]


class Weights:
    """The matrices of a model, unpacked once."""

    def __init__(self, model: IntegerModel) -> None:
        self._model = model
        self._integer: dict[str, np.ndarray] = {}
        self._factors: dict[str, Factor] = {}
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def integer(self, name: str) -> np.ndarray:
        """Return the integer weights of a matrix, int16 [rows, inputs].

        Raises:
            ScheduleError: a row could wrap its accumulator.
        """
        if name not in self._integer:
            self._integer[name] = self._unpacked(name)
        return self._integer[name]

    def factor(self, name: str) -> Factor:
        """Return a matrix in the form that multiplies many tokens at once; raise as `integer` does."""
        if name not in self._factors:
            self._factors[name] = Factor(self._integer[name] if name in self._integer else self._unpacked(name))
        return self._factors[name]

    def row_scale(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return mantissas and exponents of the rows, int64 [rows], of a matrix that `integer` or `factor` returned before."""
        return self._scales[name]

    def _unpacked(self, name: str) -> np.ndarray:
        matrix = unpacked_of(self._model.matrices[name])
        matrix.check(name)
        self._scales[name] = matrix.mantissa, matrix.exponent
        return matrix.integer().astype(np.int16)
