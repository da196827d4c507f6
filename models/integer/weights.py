"""Knows the integer weights in the form the reference multiplies with: 16 bits each, unpacked when first needed."""

from __future__ import annotations

import numpy as np
import torch

from hwsim.arch.formats import unpacked_of
from models.integer.model import IntegerModel

__all__ = ["Weights"]


class Weights:
    """The matrices of a model, unpacked once."""

    def __init__(self, model: IntegerModel) -> None:
        self._model = model
        self._integer: dict[str, np.ndarray] = {}
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def integer(self, name: str) -> np.ndarray:
        """Return the integer weights of a matrix, int16 [rows, inputs].

        Raises:
            ScheduleError: a row could wrap its accumulator.
        """
        if name not in self._integer:
            matrix = unpacked_of(self._model.matrices[name])
            matrix.check(name)
            self._integer[name] = matrix.integer().astype(np.int16)
            self._scales[name] = matrix.mantissa, matrix.exponent
        return self._integer[name]

    def double(self, name: str) -> torch.Tensor:
        """Return the integer weights as float64, which multiplies activations without rounding; not kept."""
        return torch.from_numpy(self.integer(name)).to(torch.float64)

    def row_scale(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return mantissas and exponents of the rows, int64 [rows]."""
        self.integer(name)
        return self._scales[name]
