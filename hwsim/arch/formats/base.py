"""What a weight format offers: how quantized rows become stream words, and back; the layout all formats share."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from hwsim.arch.stream_sizes import WEIGHT_HEADER_BLOCKS, Format, StreamSizes
from hwsim.errors import ScheduleError

__all__ = ["OFFSET_STEP", "QuantizedMatrix", "WeightFormat", "check_reach", "scale_words"]

OFFSET_STEP = 16
"""Weight of one unit of a W4 group offset, in the row's integer steps."""


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
    """One weight format: packing of a row's body, scale words included; its sizes are a row of hwsim.arch.stream_sizes."""

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
    def pack_body(self, matrix: QuantizedMatrix) -> np.ndarray:
        """Return the rows' bodies, uint8 [rows, body_words, 16]."""

    @abc.abstractmethod
    def unpack_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return the matrix in bodies uint8 [rows, body_words, 16], with unit row scales."""

    def fill_body(self, matrix: QuantizedMatrix, body: np.ndarray) -> None:
        """Put the bodies of `pack_body` into uint8 [rows, body_words, 16], zero before; formats may compile this."""
        body[...] = self.pack_body(matrix)

    def read_body(self, words: np.ndarray, inputs: int) -> QuantizedMatrix:
        """Return what `unpack_body` does; formats may compile this."""
        return self.unpack_body(words, inputs)

    def reach(self, words: np.ndarray, inputs: int) -> int:
        """Return the largest row sum of absolute integer weights in bodies, -1 for words that are invalid; may be compiled."""
        return int(np.abs(self.unpack_body(words, inputs).integer().astype(np.int64)).sum(axis=1).max(initial=0))

    def pack_stream(self, matrix: QuantizedMatrix, slices: int) -> np.ndarray:
        """Return the streams of all slices, uint8 [slices, words, 16]; row r goes to slice r % slices, padded with zero rows."""
        rows, inputs = matrix.shape
        blocks = -(-rows // slices)
        bodies = np.zeros((blocks * slices, self.body_words(inputs), 16), np.uint8)
        bodies[:rows] = self.pack_body(matrix)
        dealt = bodies.reshape(blocks, slices, -1, 16).transpose(1, 0, 2, 3)
        entries = np.zeros((-(-blocks // WEIGHT_HEADER_BLOCKS) * WEIGHT_HEADER_BLOCKS * slices, 4), np.uint8)
        entries[:rows, 0] = matrix.mantissa & 0xFF
        entries[:rows, 1] = matrix.mantissa >> 8
        entries[:rows, 2] = matrix.exponent & 0xFF
        headers = entries.reshape(-1, WEIGHT_HEADER_BLOCKS, slices, 4).transpose(2, 0, 1, 3).reshape(slices, -1, 16)
        parts = []
        for block in range(0, blocks, WEIGHT_HEADER_BLOCKS):
            parts.append(headers[:, block // WEIGHT_HEADER_BLOCKS, None])
            parts.append(dealt[:, block : block + WEIGHT_HEADER_BLOCKS].reshape(slices, -1, 16))
        return np.concatenate(parts, axis=1)

    def unpack_stream(self, streams: np.ndarray, inputs: int, blocks: int) -> QuantizedMatrix:
        """Return the matrix [blocks * slices, inputs] in streams uint8 [slices, words, 16]; inverse of `pack_stream`."""
        slices, body = streams.shape[0], self.body_words(inputs)
        period = 1 + WEIGHT_HEADER_BLOCKS * body
        starts = [block // WEIGHT_HEADER_BLOCKS * period + 1 + block % WEIGHT_HEADER_BLOCKS * body for block in range(blocks)]
        index = (np.array(starts, dtype=np.int64)[:, None] + np.arange(body)).reshape(-1)
        bodies = streams[:, index].reshape(slices, blocks, body, 16).transpose(1, 0, 2, 3).reshape(-1, body, 16)
        matrix = self.unpack_body(np.ascontiguousarray(bodies), inputs)
        header = streams[:, ::period][:, : -(-blocks // WEIGHT_HEADER_BLOCKS)].reshape(slices, -1, 4)[:, :blocks]
        entries = header.transpose(1, 0, 2).reshape(-1, 4).astype(np.int64)
        return dataclasses.replace(
            matrix,
            mantissa=entries[:, 0] | entries[:, 1] << 8,
            exponent=np.ascontiguousarray(entries[:, 2].astype(np.uint8)).view(np.int8).astype(np.int64),
        )

    def unit_scales(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return row scales of one: mantissa 32768, exponent -15."""
        return np.full(rows, 32768, np.int64), np.full(rows, -15, np.int64)


def scale_words(scale: np.ndarray, offset: np.ndarray, run_groups: int) -> np.ndarray:
    """Return scale words uint8 [rows, runs, 16] of groups [rows, groups]: `run_groups` (scale, offset) byte pairs a word."""
    rows, groups = scale.shape
    runs = -(-groups // run_groups)
    pairs = np.zeros((rows, runs * run_groups, 2), np.uint8)
    pairs[:, :groups, 0] = scale
    pairs[:, :groups, 1] = offset.view(np.uint8)
    return pairs.reshape(rows, runs, 16)
