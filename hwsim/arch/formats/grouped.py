"""What W4, W8 and dense W2 share: runs of groups, with one scale word before the data words of each run."""

from __future__ import annotations

import abc

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import OFFSET_STEP, QuantizedMatrix, WeightFormat, scale_words

__all__ = ["GroupedFormat"]


class GroupedFormat(WeightFormat, abc.ABC):
    """A format with scale words between runs of groups."""

    @abc.abstractmethod
    def pack_codes(self, codes: np.ndarray) -> np.ndarray:
        """Return data words uint8 [rows, words, 16] of codes uint8 [rows, inputs]."""

    @abc.abstractmethod
    def unpack_codes(self, words: np.ndarray) -> np.ndarray:
        """Return codes uint8 [rows, inputs] of data words uint8 [rows, words, 16]."""

    def _data_index(self, groups: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the scale words and of the data words in a row's body."""
        run, run_groups = self.sizes.run_words, self.sizes.run_groups
        words = np.arange(groups * self.sizes.group_words)
        return np.arange(-(-groups // run_groups)) * run, words // (run - 1) * run + 1 + words % (run - 1)

    def pack_body(self, matrix: QuantizedMatrix) -> np.ndarray:
        """Return the rows' bodies."""
        rows, inputs = matrix.shape
        scales, data = self._data_index(inputs // self.group)
        body = np.zeros((rows, self.body_words(inputs), 16), np.uint8)
        body[:, scales] = scale_words(matrix.scale, matrix.offset, self.sizes.run_groups)
        body[:, data] = self.pack_codes(matrix.codes)
        return body

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the rows' bodies, compiled."""
        kernels.pack_grouped(matrix.codes, matrix.scale, matrix.offset.view(np.uint8), self._run, self.sizes.code_bits, body)

    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum, compiled."""
        return int(kernels.reach_grouped(words, inputs // self.group, self._run, self.sizes.code_bits, OFFSET_STEP))

    @property
    def _run(self) -> tuple[int, int]:
        return self.sizes.run_groups, self.sizes.group_words

    def unpack_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in the bodies."""
        rows, groups = words.shape[0], inputs // self.group
        scales, data = self._data_index(groups)
        pairs = np.ascontiguousarray(words[:, scales]).reshape(rows, -1, 2)[:, :groups]
        mantissa, exponent = self.unit_scales(rows)
        return QuantizedMatrix(
            format=self.format,
            codes=self.unpack_codes(np.ascontiguousarray(words[:, data])),
            kept=None,
            scale=np.ascontiguousarray(pairs[:, :, 0]),
            offset=np.ascontiguousarray(pairs[:, :, 1]).view(np.int8),
            mantissa=mantissa,
            exponent=exponent,
        )
