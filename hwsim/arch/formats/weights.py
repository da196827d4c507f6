"""The weight formats: W4, W8 and dense W2 in runs of groups, with one scale word before the data words of each run; 2:4 in W2S."""

import numpy as np

from hwsim.arch.complete import require_rows
from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import OFFSET_STEP, QuantizedMatrix, WeightFormat
from hwsim.arch.formats.sharing import FEWEST_ROWS, in_parts
from hwsim.arch.stream_sizes import Format

__all__ = ["W2", "W2S", "W4", "W8", "WEIGHT_FORMATS", "GroupedFormat"]


class GroupedFormat(WeightFormat):
    """A format with scale words between runs of groups; the codes of a byte lie in it lowest bits first."""

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        kernels.pack_grouped(matrix.codes, matrix.scale, matrix.offset.view(np.uint8), self._run, self.sizes.code_bits, body)

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        rows, groups, bits = len(words), inputs // self.group, self.sizes.code_bits
        is_scale = np.arange(words.shape[1]) % self.sizes.run_words == 0
        pairs = words[:, is_scale].reshape(rows, -1, 2)[:, :groups]
        data = words[:, ~is_scale]
        codes = np.stack([data >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)], axis=-1).reshape(rows, -1)
        return self.unscaled(codes, None, pairs[:, :, 0], pairs[:, :, 1])

    def reach(self, words: np.ndarray, inputs: int) -> int:
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


class W2S(WeightFormat):
    """One word holds 64 inputs of a row: block i in bits 7i .. 7i+6, scale in byte 14, zero in byte 15.

    A block is a 2:4 pattern and two codes: exactly 2.00 bits a dense weight with scale and zero.
    """

    format = Format.W2S

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        assert matrix.kept is not None
        kernels.pack_w2s(matrix.codes, matrix.kept, matrix.scale, matrix.offset.view(np.uint8), body.view(np.uint64))

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        rows, wide = len(words), words.view(np.uint64)
        codes, kept = np.zeros((rows, inputs), np.uint8), np.zeros((rows, inputs), np.bool_)
        in_parts(lambda part: kernels.unpack_w2s(wide[part], codes[part], kept[part]), rows, FEWEST_ROWS)
        return self.unscaled(codes, kept, words[..., 14], words[..., 15])

    def reach(self, words: np.ndarray, inputs: int) -> int:
        return int(kernels.reach_w2s(words.view(np.uint64)))


WEIGHT_FORMATS: dict[Format, WeightFormat] = {Format.W2: W2(), Format.W2S: W2S(), Format.W4: W4(), Format.W8: W8()}
"""The packer of every weight format."""
require_rows(WEIGHT_FORMATS, [each for each in Format if each.cache is None], what="a packer", module=__name__)
