"""The formats with runs of groups, and one scale word before the data words of each run: W4, W8 and dense W2."""

from __future__ import annotations

import abc

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import OFFSET_STEP, QuantizedMatrix, WeightFormat
from hwsim.arch.stream_sizes import Format

__all__ = ["W2", "W4", "W8", "GroupedFormat"]


class GroupedFormat(WeightFormat, abc.ABC):
    """A format with scale words between runs of groups; the codes of a byte lie in it lowest bits first."""

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the rows' bodies, compiled."""
        kernels.pack_grouped(matrix.codes, matrix.scale, matrix.offset.view(np.uint8), self._run, self.sizes.code_bits, body)

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in the bodies."""
        rows, groups, bits = len(words), inputs // self.group, self.sizes.code_bits
        is_scale = np.arange(words.shape[1]) % self.sizes.run_words == 0
        pairs = words[:, is_scale].reshape(rows, -1, 2)[:, :groups]
        data = words[:, ~is_scale]
        codes = np.stack([data >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)], axis=-1).reshape(rows, -1)
        return self.unscaled(codes, None, pairs[:, :, 0], pairs[:, :, 1])

    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum, compiled."""
        return int(kernels.reach_grouped(words, inputs // self.group, self._run, self.sizes.code_bits, OFFSET_STEP))

    @property
    def _run(self) -> tuple[int, int]:
        return self.sizes.run_groups, self.sizes.group_words


class W2(GroupedFormat):
    """64 codes a data word, input i in bits 2i .. 2i+1; read in two cycles."""

    format = Format.W2


class W4(GroupedFormat):
    """32 codes a data word, lane l in bits 4l .. 4l+3.

    Groups of 32 have scale and offset, so that GGUF Q4_1 weights keep their grid.
    """

    format = Format.W4


class W8(GroupedFormat):
    """16 codes a data word, one a byte; two words a group.

    Codes are signed, in groups of 32 with a scale, so that GGUF Q8_0 weights keep their grid.
    """

    format = Format.W8
