"""What a weight format offers: how quantized rows become stream words, and back; the layout all formats share."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from hwsim.arch.stream_sizes import Format, StreamSizes
from hwsim.errors import ScheduleError

__all__ = ["BLOCK_CODES", "OFFSET_STEP", "PATTERNS", "QuantizedMatrix", "WeightFormat", "check_reach"]

OFFSET_STEP = 16
"""Weight of one unit of a W4 group offset, in the row's integer steps."""
PATTERNS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The kept positions of a block of four inputs, by pattern number; a block's code is pattern * 16 + second * 4 + first."""
BLOCK_CODES = len(PATTERNS) * 16
"""Codes of a block of four inputs; larger ones do not occur in valid words."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedMatrix:
    """A weight matrix in integers: row r, input k weighs `integer()[r, k] * mantissa[r] * 2**exponent[r]`.

    Attributes:
        format: how the codes are stored.
        codes: uint8 [rows, inputs]; W8 holds two's complement, W2S holds the code of kept weights and 0 elsewhere.
        kept: bool [rows, inputs] for W2S (exactly two of every four), None otherwise.
        scale: uint8 [rows, inputs / group], the group's integer scale.
        offset: int8 [rows, inputs / group]: W4 the group's offset in units of OFFSET_STEP; W2 and W2S the zero 0 .. 3; W8 zero.
        mantissa, exponent: int64 [rows], the row scale.
    """

    format: Format
    codes: np.ndarray
    kept: np.ndarray | None
    scale: np.ndarray
    offset: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        return self.codes.shape[0], self.codes.shape[1]

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return self.codes.shape[1] // self.scale.shape[1]

    def integer(self) -> np.ndarray:
        """Return the integer weights int32 [rows, inputs] that a row accumulates with int8 activations."""
        scale = np.repeat(self.scale.astype(np.int32), self.group, axis=1)
        offset = np.repeat(self.offset.astype(np.int32), self.group, axis=1)
        if self.format == Format.W8:
            return scale * self.codes.view(np.int8)
        if self.format == Format.W4:
            return scale * self.codes + OFFSET_STEP * offset
        value = scale * (self.codes.astype(np.int32) - offset)
        return value if self.kept is None else np.where(self.kept, value, 0)

    def part(self, rows: slice) -> QuantizedMatrix:
        """Return some of the rows, without a copy."""
        names = ("codes", "scale", "offset", "mantissa", "exponent")
        kept = None if self.kept is None else self.kept[rows]
        return QuantizedMatrix(format=self.format, kept=kept, **{name: getattr(self, name)[rows] for name in names})

    def dequantize(self) -> np.ndarray:
        """Return the weights the integers stand for, float64 [rows, inputs]."""
        return self.integer() * (self.mantissa * np.exp2(self.exponent.astype(np.float64)))[:, None]

    def check(self, name: str) -> None:
        """Raise ScheduleError when a row could wrap the 32-bit accumulator for some activations."""
        check_reach(name, int(np.abs(self.integer().astype(np.int64)).sum(axis=1).max(initial=0)))


def check_reach(name: str, largest: int) -> None:
    """Raise ScheduleError when rows whose absolute integers sum to `largest` could wrap the accumulator."""
    worst = largest * 127
    if worst >= 1 << 31:
        raise ScheduleError(f"Rows of {name} must stay below 2**31 in the accumulator, not reach {worst}")


class WeightFormat(abc.ABC):
    """One weight format: packing of a row's body, scale words included; its sizes are a row of hwsim.arch.stream_sizes.

    A *body* is what a row has in the stream without its share of a header. tests/hwsim/slow_formats.py defines the bytes as array
    code.
    """

    format: Format

    @property
    def sizes(self) -> StreamSizes:
        """Words and bits of the format."""
        return self.format.sizes

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return self.sizes.group

    def body_words(self, inputs: int) -> int:
        """Return the words of one row without its share of a header."""
        return self.sizes.body_words(inputs)

    def stream_words(self, blocks: int, inputs: int) -> int:
        """Return the words of one slice's stream of row blocks, headers included."""
        return self.sizes.stream_words(blocks, inputs)

    @abc.abstractmethod
    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the rows' bodies into uint8 [rows, body_words, 16], zero before."""

    @abc.abstractmethod
    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in bodies uint8 [rows, body_words, 16], with row scales of one."""

    @abc.abstractmethod
    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum of absolute integer weights in bodies, -1 for words that are invalid."""

    def unscaled(self, codes: np.ndarray, kept: np.ndarray | None, scale: np.ndarray, offset: np.ndarray) -> QuantizedMatrix:
        """Return a matrix with row scales of one: mantissa 32768, exponent -15."""
        mantissa, exponent = np.full(len(codes), 32768, np.int64), np.full(len(codes), -15, np.int64)
        offset = np.ascontiguousarray(offset).view(np.int8)
        scale = np.ascontiguousarray(scale)
        return QuantizedMatrix(
            format=self.format, codes=codes, kept=kept, scale=scale, offset=offset, mantissa=mantissa, exponent=exponent
        )
