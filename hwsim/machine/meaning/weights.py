"""Sums of products of streamed rows with activations, straight from the packed words; compiled, exact."""

import functools
from collections.abc import Callable
from typing import cast

import numpy as np

from hwsim.arch.complete import require_rows
from hwsim.arch.formats.base import OFFSET_STEP, PATTERNS
from hwsim.arch.isa import Format
from hwsim.compiled import compiled

__all__ = ["header_parts", "nibbles", "row_sums"]


def header_parts(words: np.ndarray, blocks: int, body: int, period: int) -> np.ndarray:
    """Return each row's part of its header, uint8 [blocks * slices, 16 / period], from a stream [slices, beats, 16]."""
    groups = np.arange(-(-blocks // period)) * (1 + period * body)
    parts = words[:, groups].reshape(len(words), -1, 16 // period)[:, :blocks]
    return np.ascontiguousarray(parts.transpose(1, 0, 2)).reshape(-1, 16 // period)


def nibbles(data: np.ndarray) -> np.ndarray:
    """Return the 4-bit values of bytes [..., n] as uint8 [..., 2 n], low nibble first."""
    values = np.stack([data & 15, data >> 4], axis=-1)
    return values.reshape(*data.shape[:-1], 2 * data.shape[-1])


def row_sums(format_: Format, words: np.ndarray, blocks: int, inputs: np.ndarray) -> np.ndarray:
    """Return the sums int64 [blocks * slices, rows], not yet wrapped, of a stream uint8 [slices, beats, 16].

    `inputs` is int8 [rows, inputs]. Keys come without their zero point.
    """
    rows, sizes = len(inputs), format_.sizes
    starts = np.arange(blocks) // sizes.header_blocks + 1 + np.arange(blocks) * sizes.body_words(inputs.shape[1])
    sums = np.zeros((blocks, len(words), rows), np.int64)
    per_byte, add = _SUMS[format_]
    # Inputs that share a place in their byte lie together, in the order in which a word is unpacked.
    places = inputs.reshape(rows, -1, 16, per_byte).transpose(0, 1, 3, 2).reshape(rows, -1).astype(np.float32)
    totals = inputs.reshape(rows, -1, 32).sum(axis=2, dtype=np.int64)
    add(np.ascontiguousarray(words), starts, places, totals, (sizes.run_groups, sizes.group_words), sums)
    return sums.reshape(-1, rows)


def _sparse_table() -> np.ndarray:
    """Return float32 [zero * 128 + code, 4]: the four weights of a 7-bit code minus the zero; 0 where none is kept."""
    table = np.zeros((4, 128, 4), np.float32)
    for zero in range(4):
        for code in range(128):
            first, second = PATTERNS[min(code >> 4, len(PATTERNS) - 1)]
            table[zero, code, first] = (code & 3) - zero
            table[zero, code, second] = (code >> 2 & 3) - zero
    return table.reshape(512, 4)


_SPARSE = _sparse_table()


# Codes and activations are small integers: a group's sum of products stays below 2**24, where float32 arithmetic is
# exact in any order, so that the compiler may use vector instructions.
_fast = functools.partial(compiled, is_fast_math=True)


def _sum_grouped(bits: int) -> Callable[..., None]:
    """Return the loop of a format with scale words, compiled for codes of 2, 4 or 8 bits."""
    share, mask = 8 // bits, (1 << bits) - 1

    def add(
        words: np.ndarray, starts: np.ndarray, inputs: np.ndarray, totals: np.ndarray, run: tuple[int, int], sums: np.ndarray
    ) -> None:
        run_groups, group_words = run
        size = 16 * share * group_words
        code = np.empty(size, np.float32)
        for block in range(len(starts)):
            for own in range(len(words)):
                for group in range(inputs.shape[1] // size):
                    scale_beat = starts[block] + group // run_groups * (1 + run_groups * group_words)
                    scale = np.int64(words[own, scale_beat, group % run_groups * 2])
                    offset = np.int64(np.int8(words[own, scale_beat, group % run_groups * 2 + 1]))
                    for word in range(group_words):
                        data = words[own, scale_beat + 1 + group % run_groups * group_words + word]
                        # A slice, and places outside: numbers known to the compiler, which then uses vector instructions.
                        unpacked = code[16 * share * word :]
                        for place in range(16):
                            for part in range(share):
                                unpacked[16 * part + place] = np.int8(data[place] >> np.uint8(bits * part) & np.uint8(mask))
                    for row in range(len(inputs)):
                        total = np.float32(0)
                        for place in range(size):
                            total += code[place] * inputs[row, group * size + place]
                        sums[block, own, row] += scale * np.int64(total)
                        if bits == 4:
                            sums[block, own, row] += OFFSET_STEP * offset * totals[row, group]
                        elif bits == 2:
                            sums[block, own, row] -= scale * (offset & 3) * (totals[row, 2 * group] + totals[row, 2 * group + 1])

    return cast(Callable[..., None], _fast(add))


@_fast
def _sum_w2s(
    words: np.ndarray, starts: np.ndarray, inputs: np.ndarray, totals: np.ndarray, run: tuple[int, int], sums: np.ndarray
) -> None:
    code = np.empty(64, np.float32)
    for block in range(len(starts)):
        for own in range(len(words)):
            for group in range(inputs.shape[1] // 64):
                data = words[own, starts[block] + group]
                zero = np.int64(data[15] & 3) * 128
                for half in range(2):
                    packed = np.int64(0)
                    for place in range(7):
                        packed |= np.int64(data[7 * half + place]) << (8 * place)
                    for place in range(8):
                        entry = zero + (packed >> (7 * place) & 127)
                        for lane in range(4):
                            code[32 * half + 4 * place + lane] = _SPARSE[entry, lane]
                for row in range(len(inputs)):
                    total = np.float32(0)
                    for place in range(64):
                        total += code[place] * inputs[row, group * 64 + place]
                    sums[block, own, row] += np.int64(data[14]) * np.int64(total)


@_fast
def _sum_keys(
    words: np.ndarray, starts: np.ndarray, inputs: np.ndarray, totals: np.ndarray, run: tuple[int, int], sums: np.ndarray
) -> None:
    code = np.empty(32, np.float32)
    planes = run[1]
    for block in range(len(starts)):
        for own in range(len(words)):
            for group in range(inputs.shape[1] // 32):
                for plane in range(planes):
                    data = words[own, starts[block] + group * planes + plane]
                    for place in range(16):
                        code[place] = data[place] & np.uint8(15)
                        code[16 + place] = data[place] >> np.uint8(4)
                    for row in range(len(inputs)):
                        total = np.float32(0)
                        for place in range(32):
                            total += code[place] * inputs[row, group * 32 + place]
                        sums[block, own, row] += np.int64(total) << (4 * plane)


_SUMS: dict[Format, tuple[int, Callable[..., None]]] = {
    Format.W4: (2, _sum_grouped(4)),
    Format.W8: (1, _sum_grouped(8)),
    Format.W2: (4, _sum_grouped(2)),
    Format.W2S: (1, _sum_w2s),
    Format.KV4: (2, _sum_keys),
    Format.KV8: (2, _sum_keys),
}
"""Codes in a byte, and the loop that adds the products; a loop takes groups of a run and data words of a group as `run`."""
require_rows(_SUMS, Format, what="a loop that sums its products", module=__name__)
