"""The integer weights in the forms that the reference multiplies with: unpacked when needed, for one token or for many."""

import numpy as np
import torch

from hwsim.arch.formats import unpacked_of
from models.integer.model import IntegerModel

__all__ = ["Factor", "Weights", "multiplies_bytes"]


def multiplies_bytes() -> bool:
    """Return whether this processor sums products of bytes in 32 bits at once, without rounding or saturation.

    Older byte instructions saturate sums of two products at 16 bits.
    """
    has = torch.cpu.get_capabilities()
    kinds = ("amx_int8", "avx512_vnni", "avx_vnni")
    return torch.backends.mkldnn.is_available() and any(has.get(kind, False) for kind in kinds)


class Factor:
    """A matrix of integers prepared for products with many rows of codes.

    weights: int16 [rows, inputs]; a row times codes of -127 .. 127 stays below 2**31.
    in_bytes: whether the weights are held as digits of 8 bits; None asks the processor.

    As digits, weights are the sum of int8 matrices, the n-th times 256**n. Otherwise they are float64, whose sums of
    integers below 2**53 are exact in any order, and are widened for each product.
    """

    def __init__(self, weights: np.ndarray, *, in_bytes: bool | None = None) -> None:
        is_in_bytes = multiplies_bytes() if in_bytes is None else in_bytes
        self._digits = _digits(weights) if is_in_bytes else ()
        self._whole = None if is_in_bytes else torch.from_numpy(weights)
        self.rows = len(weights)

    def product(self, codes: np.ndarray, rows: slice) -> np.ndarray:
        """Return the accumulators of some rows, int32 [tokens, rows], for codes, int8 [tokens, inputs]."""
        inputs = torch.from_numpy(codes)
        if self._whole is not None:
            return (inputs.double() @ self._whole[rows].double().T).to(torch.int64).to(torch.int32).numpy()
        total = torch._int_mm(inputs, self._digits[-1][rows].T)
        for digit in reversed(self._digits[:-1]):
            # The part of one digit may wrap at 2**31; the sum of all parts does not.
            total.mul_(256).add_(torch._int_mm(inputs, digit[rows].T))
        return total.numpy()


def _digits(weights: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return the signed digits of 8 bits of int16 weights, lowest first, as many as any needs."""
    found = []
    rest = weights.astype(np.int32)
    while True:
        low = ((rest + 128) & 255) - 128
        found.append(torch.from_numpy(low.astype(np.int8)))
        rest = (rest - low) >> 8
        if not rest.any():
            return tuple(found)


class Weights:
    """The matrices of a model, unpacked once."""

    def __init__(self, model: IntegerModel) -> None:
        self._model = model
        self._integer: dict[str, np.ndarray] = {}
        self._factors: dict[str, Factor] = {}
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def integer(self, name: str) -> np.ndarray:
        """Return the integer weights of a matrix, int16 [rows, inputs].

        ScheduleError when a row could wrap its accumulator.
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
