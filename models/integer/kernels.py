"""Knows the compiled inner loop of the integer reference: one matrix times one vector of activations."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["accumulate"]


@numba.njit(nogil=True, cache=True, boundscheck=False)
def accumulate(weights: np.ndarray, codes: np.ndarray, out: np.ndarray) -> None:
    """Set out[r] to the 32-bit accumulator of row r: the sum of weights[r] * codes modulo 2**32.

    weights: int16 [rows, inputs], contiguous.
    codes: int16 [inputs].
    out: int32 [rows].

    One thread: the matrices of a step are too small to repay waking others on a busy machine.
    """
    for row in range(weights.shape[0]):
        total = np.int32(0)
        for index in range(weights.shape[1]):
            total = np.int32(total + np.int32(np.int32(weights[row, index]) * np.int32(codes[index])))
        out[row] = total
