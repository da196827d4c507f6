"""Stream words to the integer weights a row accumulates, for every format."""

from __future__ import annotations

import numpy as np

from hwsim.arch.isa import Format

__all__ = ["integer_weights", "nibbles", "split_blocks"]

_RUN = 8
_OFFSET_STEP = 16
_SPARSE_PATTERNS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def split_blocks(words: np.ndarray, blocks: int, body: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Return headers uint8 [slices, blocks, 16 / period] and bodies uint8 [slices, blocks, body, 16] of a stream.

    `words` is uint8 [slices, beats, 16]; before every `period` blocks lies one header word, a part for each block.
    """
    slices = words.shape[0]
    groups = -(-blocks // period)
    padding = groups * (1 + period * body) - words.shape[1]
    if padding:
        words = np.concatenate([words, np.zeros((slices, padding, 16), np.uint8)], axis=1)
    words = words.reshape(slices, groups, 1 + period * body, 16)
    headers = words[:, :, 0].reshape(slices, groups * period, 16 // period)[:, :blocks]
    return headers, words[:, :, 1:].reshape(slices, groups * period, body, 16)[:, :blocks]


def nibbles(data: np.ndarray) -> np.ndarray:
    """Return the 4-bit values of bytes [..., n] as uint8 [..., 2 n], low nibble first."""
    values = np.empty((*data.shape, 2), np.uint8)
    np.bitwise_and(data, 15, out=values[..., 0])
    np.right_shift(data, 4, out=values[..., 1])
    return values.reshape(*data.shape[:-1], 2 * data.shape[-1])


def integer_weights(format_: Format, body: np.ndarray) -> np.ndarray:
    """Return the weights int32 [rows, inputs] in the bodies uint8 [rows, body, 16]; keys come without their zero point."""
    if format_ is Format.KV4:
        return nibbles(body.reshape(len(body), -1)).astype(np.int32)
    if format_ is Format.W2S:
        return _sparse(body)
    if format_ is Format.W4:
        data, scale, offset = _grouped(body, 1)
        weights = nibbles(data) * scale[..., None]
        weights += _OFFSET_STEP * offset[..., None]
    elif format_ is Format.W8:
        data, scale, _ = _grouped(body, 2)
        weights = data.view(np.int8) * scale[..., None]
    else:
        data, scale, offset = _grouped(body, 1)
        codes = np.stack([data >> shift & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(*data.shape[:-1], -1)
        weights = (codes - (offset & 3)[..., None]) * scale[..., None]
    return weights.reshape(len(body), -1)


def _grouped(body: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return data uint8 [rows, groups, words * 16], scale and offset int32 [rows, groups] of runs of eight groups."""
    rows, beats = body.shape[:2]
    run = 1 + _RUN * words
    groups = (beats - -(-beats // run)) // words
    runs = -(-beats // run)
    if runs * run != beats:
        body = np.concatenate([body, np.zeros((rows, runs * run - beats, 16), np.uint8)], axis=1)
    body = body.reshape(rows, runs, run, 16)
    pairs = body[:, :, 0].reshape(rows, runs * _RUN, 2)[:, :groups]
    data = body[:, :, 1:].reshape(rows, runs * _RUN, words * 16)[:, :groups]
    return data, pairs[..., 0].astype(np.int32), pairs[..., 1].view(np.int8).astype(np.int32)


def _sparse_table() -> np.ndarray:
    """Return int8 [zero * 128 + code, 4]: the four weights of a 7-bit code minus the group's zero; 0 where none is kept."""
    table = np.zeros((4, 128, 4), np.int8)
    for zero in range(4):
        for code in range(128):
            first, second = _SPARSE_PATTERNS[min(code >> 4, len(_SPARSE_PATTERNS) - 1)]
            table[zero, code, first] = (code & 3) - zero
            table[zero, code, second] = (code >> 2 & 3) - zero
    return table.reshape(512, 4)


_SPARSE = _sparse_table()


def _sparse(body: np.ndarray) -> np.ndarray:
    halves = np.ascontiguousarray(body).view("<u8")
    low, high = halves[..., 0], halves[..., 1]
    zero = (body[..., 15] & 3).astype(np.intp) << 7
    codes = np.empty((*low.shape, 16), np.intp)
    for place in range(16):
        start = 7 * place
        if start + 7 <= 64:
            bits = low >> np.uint64(start)
        elif start >= 64:
            bits = high >> np.uint64(start - 64)
        else:
            bits = low >> np.uint64(start) | high << np.uint64(64 - start)
        codes[..., place] = (bits & np.uint64(127)).astype(np.intp) + zero
    weights = _SPARSE[codes].reshape(*low.shape, 64) * body[..., 14, None].astype(np.int32)
    return weights.reshape(len(body), -1)
