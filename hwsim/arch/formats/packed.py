"""A weight matrix as the words the engine streams, and what every holder of a matrix offers: form, words and integers."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import OFFSET_STEP, QuantizedMatrix
from hwsim.arch.formats.grouped import GroupedFormat
from hwsim.arch.formats.patterns import BLOCK_CODES
from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.formats.table import WEIGHT_FORMATS
from hwsim.arch.formats.w2s import W2S
from hwsim.arch.isa import Format
from hwsim.errors import ScheduleError

__all__ = ["MatrixSource", "PackedMatrix", "pack", "packed_of", "unpacked_of"]

_ACCUMULATOR = 1 << 31
_ACTIVATION_LIMIT = 127
_FEWEST_ROWS = 64
"""Rows below which a thread costs more than it saves."""


class MatrixSource(Protocol):
    """A matrix that may lie elsewhere: its form is known, its words come when they are asked for."""

    @property
    def format(self) -> Format:
        """How the codes are stored."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        ...

    def packed(self) -> PackedMatrix:
        """Return the matrix as words."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PackedMatrix:
    """A matrix as row bodies, without the headers that a stream has between them.

    Attributes:
        format: how the codes are stored.
        inputs: inputs of a row.
        words: uint8 [rows, body words, 16], contiguous.
        mantissa, exponent: uint16 and int8 [rows], the row scale.
    """

    format: Format
    inputs: int
    words: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        return self.words.shape[0], self.inputs

    def packed(self) -> PackedMatrix:
        """Return itself."""
        return self

    def unpacked(self) -> QuantizedMatrix:
        """Return codes and scales in arrays of their own."""
        packer, (count, inputs) = WEIGHT_FORMATS[self.format], self.shape
        mantissa, exponent = self.mantissa.astype(np.int64), self.exponent.astype(np.int64)
        if not isinstance(packer, W2S):
            return dataclasses.replace(packer.unpack_body(self.words, inputs), mantissa=mantissa, exponent=exponent)
        codes, kept = np.zeros((count, inputs), np.uint8), np.zeros((count, inputs), np.bool_)
        wide = self._wide

        def part(rows: slice) -> None:
            kernels.unpack_w2s(wide[rows], codes[rows], kept[rows])

        in_parts(part, count, _FEWEST_ROWS)
        return QuantizedMatrix(
            format=self.format,
            codes=codes,
            kept=kept,
            scale=np.ascontiguousarray(self.words[..., 14]),
            offset=np.ascontiguousarray(self.words[..., 15]).view(np.int8),
            mantissa=mantissa,
            exponent=exponent,
        )

    def check(self, name: str) -> None:
        """Raise ScheduleError when a word is invalid, or a row could wrap the 32-bit accumulator for some activations."""
        packer = WEIGHT_FORMATS[self.format]
        words, wide = self.words, self._wide

        def part(rows: slice) -> int:
            if isinstance(packer, GroupedFormat):
                groups, per_group = self.inputs // packer.group, packer.words_per_group
                return int(kernels.reach_grouped(words[rows], groups, per_group, packer.code_bits, OFFSET_STEP))
            return int(kernels.reach_w2s(wide[rows]))

        reaches = in_parts(part, len(words), _FEWEST_ROWS)
        if min(reaches, default=0) < 0:
            raise ScheduleError(f"Words of {name} must hold 2:4 block codes below {BLOCK_CODES}, not larger ones")
        worst = max(reaches, default=0) * _ACTIVATION_LIMIT
        if worst >= _ACCUMULATOR:
            raise ScheduleError(f"Rows of {name} must stay below 2**31 in the accumulator, not reach {worst}")

    def port_stream(self, port: int, slices: int, slices_per_port: int) -> np.ndarray:
        """Return the stream of one port, headers included, uint8 [bytes]; row r goes to slice r % slices."""
        beats = WEIGHT_FORMATS[self.format].stream_words(-(-len(self.words) // slices), self.inputs)
        stream = np.zeros((beats, slices_per_port, 2), np.uint64)
        kernels.deal(self._wide, self.mantissa, self.exponent, slices, port * slices_per_port, stream)
        return stream.reshape(-1).view(np.uint8)

    @property
    def _wide(self) -> np.ndarray:
        return self.words.view(np.uint64)


def pack(matrix: QuantizedMatrix) -> PackedMatrix:
    """Return a matrix as words."""
    packer = WEIGHT_FORMATS[matrix.format]
    count, inputs = matrix.shape
    codes, kept, scale, offset = matrix.codes, matrix.kept, matrix.scale, matrix.offset.view(np.uint8)
    words = np.zeros((count, packer.body_words(inputs), 2), np.uint64)
    body = words.view(np.uint8).reshape(count, -1, 16)

    def part(rows: slice) -> None:
        if isinstance(packer, GroupedFormat):
            kernels.pack_grouped(codes[rows], scale[rows], offset[rows], packer.words_per_group, packer.code_bits, body[rows])
        else:
            assert kept is not None
            kernels.pack_w2s(codes[rows], kept[rows], scale[rows], offset[rows], words[rows])

    in_parts(part, count, _FEWEST_ROWS)
    return PackedMatrix(
        format=matrix.format,
        inputs=inputs,
        words=body,
        mantissa=matrix.mantissa.astype(np.uint16),
        exponent=matrix.exponent.astype(np.int8),
    )


def packed_of(matrix: QuantizedMatrix | MatrixSource) -> PackedMatrix:
    """Return any matrix as words."""
    return pack(matrix) if isinstance(matrix, QuantizedMatrix) else matrix.packed()


def unpacked_of(matrix: QuantizedMatrix | MatrixSource) -> QuantizedMatrix:
    """Return any matrix as codes and scales."""
    return matrix if isinstance(matrix, QuantizedMatrix) else matrix.packed().unpacked()
