"""A weight matrix as the words the engine streams, and what every holder of a matrix offers: form, words and integers."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from hwsim.arch.formats import kernels
from hwsim.arch.formats.base import QuantizedMatrix, check_reach
from hwsim.arch.formats.sharing import FEWEST_ROWS, in_parts
from hwsim.arch.formats.weights import WEIGHT_FORMATS
from hwsim.arch.stream_sizes import Format
from hwsim.errors import ScheduleError

__all__ = ["MatrixSource", "PackedMatrix", "pack", "packed_of", "unpacked_of"]


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
        matrix = WEIGHT_FORMATS[self.format].read_body(self.words, self.inputs)
        return dataclasses.replace(matrix, mantissa=self.mantissa.astype(np.int64), exponent=self.exponent.astype(np.int64))

    def check(self, name: str) -> None:
        """Raise ScheduleError when a word is invalid, or a row could wrap the 32-bit accumulator for some activations."""
        packer = WEIGHT_FORMATS[self.format]
        reaches = in_parts(lambda rows: packer.reach(self.words[rows], self.inputs), len(self.words), FEWEST_ROWS)
        if min(reaches, default=0) < 0:
            raise ScheduleError(f"Words of {name} must hold codes that {self.format.name} has, not others")
        check_reach(name, max(reaches, default=0))

    def port_stream(self, port: int, slices: int, slices_per_port: int) -> np.ndarray:
        """Return the stream of one port, headers included, uint8 [bytes]; row r goes to slice r % slices."""
        sizes, first = self.format.sizes, port * slices_per_port
        beats = sizes.stream_words(-(-len(self.words) // slices), self.inputs)
        stream = np.zeros((beats, slices_per_port, 2), np.uint64)
        words = self.words.view(np.uint64)
        kernels.deal(words, self.mantissa, self.exponent, slices, first, sizes.header_blocks, stream)
        return stream.reshape(-1).view(np.uint8)


def pack(matrix: QuantizedMatrix) -> PackedMatrix:
    """Return a matrix as words."""
    packer = WEIGHT_FORMATS[matrix.format]
    rows, inputs = matrix.shape
    body = np.zeros((rows, packer.body_words(inputs), 16), np.uint8)
    in_parts(lambda part: packer.fill_body(matrix.part(part), body[part]), rows, FEWEST_ROWS)
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
