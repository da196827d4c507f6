"""The weight formats as array code: which bytes a matrix becomes, in bodies of rows and in streams of slices, and back."""

import dataclasses

import numpy as np

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.formats.base import PATTERNS
from hwsim.arch.stream_sizes import WEIGHT_HEADER_BLOCKS, Format

__all__ = ["pack_body", "pack_stream", "unpack_body", "unpack_stream"]

_FIRST = np.array([a for a, _ in PATTERNS])
_SECOND = np.array([b for _, b in PATTERNS])
_NUMBER = np.full(16, -1)
for _index, (_a, _b) in enumerate(PATTERNS):
    _NUMBER[1 << _a | 1 << _b] = _index


def pack_body(matrix: QuantizedMatrix) -> np.ndarray:
    """Return the rows' bodies, uint8 [rows, body_words, 16]."""
    return _pack_sparse(matrix) if matrix.format is Format.W2S else _pack_grouped(matrix)


def unpack_body(format: Format, words: np.ndarray, inputs: int) -> QuantizedMatrix:
    """Return the matrix in bodies uint8 [rows, body_words, 16], with unit row scales."""
    codes, kept, scale, offset = _unpack_sparse(words) if format is Format.W2S else _unpack_grouped(format, words, inputs)
    return QuantizedMatrix(
        format=format,
        codes=codes,
        kept=kept,
        scale=np.ascontiguousarray(scale),
        offset=np.ascontiguousarray(offset).view(np.int8),
        mantissa=np.full(len(words), 32768, np.int64),
        exponent=np.full(len(words), -15, np.int64),
    )


def pack_stream(matrix: QuantizedMatrix, slices: int) -> np.ndarray:
    """Return the streams of all slices, uint8 [slices, words, 16]; row r goes to slice r % slices, padded with zero rows."""
    rows, inputs = matrix.shape
    blocks = -(-rows // slices)
    bodies = np.zeros((blocks * slices, matrix.format.sizes.body_words(inputs), 16), np.uint8)
    bodies[:rows] = pack_body(matrix)
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


def unpack_stream(format: Format, streams: np.ndarray, inputs: int, blocks: int) -> QuantizedMatrix:
    """Return the matrix [blocks * slices, inputs] in streams uint8 [slices, words, 16]; inverse of `pack_stream`."""
    slices, body = streams.shape[0], format.sizes.body_words(inputs)
    period = 1 + WEIGHT_HEADER_BLOCKS * body
    starts = [block // WEIGHT_HEADER_BLOCKS * period + 1 + block % WEIGHT_HEADER_BLOCKS * body for block in range(blocks)]
    index = (np.array(starts, dtype=np.int64)[:, None] + np.arange(body)).reshape(-1)
    bodies = streams[:, index].reshape(slices, blocks, body, 16).transpose(1, 0, 2, 3).reshape(-1, body, 16)
    matrix = unpack_body(format, np.ascontiguousarray(bodies), inputs)
    header = streams[:, ::period][:, : -(-blocks // WEIGHT_HEADER_BLOCKS)].reshape(slices, -1, 4)[:, :blocks]
    entries = header.transpose(1, 0, 2).reshape(-1, 4).astype(np.int64)
    return dataclasses.replace(
        matrix,
        mantissa=entries[:, 0] | entries[:, 1] << 8,
        exponent=np.ascontiguousarray(entries[:, 2].astype(np.uint8)).view(np.int8).astype(np.int64),
    )


def _places(format: Format, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the scale words and of the data words in a row's body."""
    run, run_groups = format.sizes.run_words, format.sizes.run_groups
    words = np.arange(groups * format.sizes.group_words)
    return np.arange(-(-groups // run_groups)) * run, words // (run - 1) * run + 1 + words % (run - 1)


def _pack_grouped(matrix: QuantizedMatrix) -> np.ndarray:
    (rows, inputs), sizes = matrix.shape, matrix.format.sizes
    groups, share = inputs // sizes.group, 8 // sizes.code_bits
    scales, data = _places(matrix.format, groups)
    pairs = np.zeros((rows, len(scales) * sizes.run_groups, 2), np.uint8)
    pairs[:, :groups, 0] = matrix.scale
    pairs[:, :groups, 1] = matrix.offset.view(np.uint8)
    body = np.zeros((rows, sizes.body_words(inputs), 16), np.uint8)
    body[:, scales] = pairs.reshape(rows, len(scales), 16)
    codes = matrix.codes.reshape(rows, -1, 16, share).astype(np.int64)
    body[:, data] = (codes << sizes.code_bits * np.arange(share)).sum(axis=-1)
    return body


def _unpack_grouped(format: Format, words: np.ndarray, inputs: int) -> tuple[np.ndarray, None, np.ndarray, np.ndarray]:
    rows, groups, bits = len(words), inputs // format.sizes.group, format.sizes.code_bits
    scales, data = _places(format, groups)
    pairs = np.ascontiguousarray(words[:, scales]).reshape(rows, -1, 2)[:, :groups]
    codes = words[:, data][..., None] >> bits * np.arange(8 // bits).astype(np.uint8) & np.uint8((1 << bits) - 1)
    return codes.reshape(rows, -1), None, pairs[:, :, 0], pairs[:, :, 1]


def _pack_sparse(matrix: QuantizedMatrix) -> np.ndarray:
    assert matrix.kept is not None
    rows, inputs = matrix.shape
    kept = matrix.kept.reshape(rows, -1, 4)
    codes = matrix.codes.reshape(rows, -1, 4).astype(np.int64)
    pattern = _NUMBER[(kept * np.array([1, 2, 4, 8])).sum(axis=-1)]
    first = np.take_along_axis(codes, _FIRST[pattern][..., None], axis=-1)[..., 0]
    second = np.take_along_axis(codes, _SECOND[pattern][..., None], axis=-1)[..., 0]
    block = (pattern * 16 + second * 4 + first).reshape(rows, inputs // 64, 16)
    stream = (block[..., None] >> np.arange(7) & 1).astype(np.uint8).reshape(rows, inputs // 64, 112)
    words = np.packbits(stream, axis=-1, bitorder="little")
    pair = np.stack([matrix.scale, matrix.offset.view(np.uint8)], axis=-1)
    return np.concatenate([words, pair], axis=-1)


def _unpack_sparse(words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes of pattern 6 and 7 do not occur in valid words."""
    rows = len(words)
    stream = np.unpackbits(words[..., :14], axis=-1, bitorder="little").reshape(rows, -1, 16, 7)
    block = (stream.astype(np.int64) << np.arange(7)).sum(axis=-1).reshape(rows, -1)
    pattern = np.minimum(block >> 4, 5)
    codes = np.zeros((rows, block.shape[1], 4), np.uint8)
    kept = np.zeros(codes.shape, np.bool_)
    for position, value in ((_FIRST[pattern], block & 3), (_SECOND[pattern], block >> 2 & 3)):
        np.put_along_axis(codes, position[..., None], value[..., None].astype(np.uint8), axis=-1)
        np.put_along_axis(kept, position[..., None], True, axis=-1)
    return codes.reshape(rows, -1), kept.reshape(rows, -1), words[..., 14], words[..., 15]
