"""The stream formats as compiled loops: packing, unpacking, the accumulator's reach, and dealing over the ports.

The array code of tests/hwsim/slow_formats.py is the definition; these loops give the same bytes, many times
sooner. They hold no lock, so that rows and ports may be shared among threads.
"""

import numpy as np

from hwsim.arch.formats.base import BLOCK_CODES, PATTERNS
from hwsim.compiled import compiled

__all__ = ["deal", "pack_grouped", "pack_w2s", "reach_grouped", "reach_w2s", "unpack_w2s"]

_FIRST = np.array([first for first, _ in PATTERNS], np.int64)
_SECOND = np.array([second for _, second in PATTERNS], np.int64)
_NUMBER = np.zeros(16, np.uint64)
for _index, (_a, _b) in enumerate(PATTERNS):
    _NUMBER[1 << _a | 1 << _b] = _index
_BLOCK_CODES = BLOCK_CODES
_W4, _W8 = 4, 8


@compiled
def pack_w2s(codes: np.ndarray, kept: np.ndarray, scale: np.ndarray, offset: np.ndarray, words: np.ndarray) -> None:
    """Fill words uint64 [rows, groups, 2] from codes and kept [rows, inputs] and scale and offset uint8 [rows, groups]."""
    rows, groups = scale.shape
    for row in range(rows):
        for group in range(groups):
            halves = np.zeros(2, np.uint64)
            for block in range(16):
                at = 64 * group + 4 * block
                mask = 0
                for lane in range(4):
                    if kept[row, at + lane]:
                        mask |= 1 << lane
                number = _NUMBER[mask]
                first, second = _FIRST[number], _SECOND[number]
                code = number << np.uint64(4) | np.uint64(codes[row, at + second]) << np.uint64(2)
                code |= np.uint64(codes[row, at + first])
                place = 7 * block
                if place < 64:
                    halves[0] |= code << np.uint64(place)
                    if place > 57:
                        halves[1] |= code >> np.uint64(64 - place)
                else:
                    halves[1] |= code << np.uint64(place - 64)
            words[row, group, 0] = halves[0]
            pair = np.uint64(scale[row, group]) | np.uint64(offset[row, group]) << np.uint64(8)
            words[row, group, 1] = halves[1] | pair << np.uint64(48)


@compiled
def pack_grouped(
    codes: np.ndarray, scale: np.ndarray, offset: np.ndarray, run: tuple[int, int], bits: int, words: np.ndarray
) -> None:
    """Fill words uint8 [rows, words, 16], zero before, from codes [rows, inputs] and scale and offset uint8 [rows, groups].

    run: groups of a run, and data words of a group; bits: 2, 4 or 8 of a code.
    """
    rows, groups = scale.shape
    run_groups, per_group = run
    share = 8 // bits
    for row in range(rows):
        at = 0
        for group in range(groups):
            within = group % run_groups
            head = group // run_groups * (1 + run_groups * per_group)
            words[row, head, 2 * within] = scale[row, group]
            words[row, head, 2 * within + 1] = offset[row, group]
            first = head + 1 + within * per_group
            for word in range(first, first + per_group):
                if share == 1:
                    words[row, word] = codes[row, at : at + 16]
                    at += 16
                    continue
                for index in range(16):
                    value = np.uint8(0)
                    for part in range(share):
                        value |= codes[row, at + part] << np.uint8(bits * part)
                    words[row, word, index] = value
                    at += share


@compiled
def _block(low: np.uint64, high: np.uint64, index: int) -> np.int64:
    """Return block code `index` of a W2S word given as two uint64."""
    place = 7 * index
    if place <= 57:
        return np.int64(low >> np.uint64(place) & np.uint64(127))
    if place >= 64:
        return np.int64(high >> np.uint64(place - 64) & np.uint64(127))
    return np.int64((low >> np.uint64(place) | high << np.uint64(64 - place)) & np.uint64(127))


@compiled
def unpack_w2s(words: np.ndarray, codes: np.ndarray, kept: np.ndarray) -> None:
    """Fill codes and kept [rows, inputs], zero before, from valid words uint64 [rows, groups, 2]."""
    rows, groups = words.shape[0], words.shape[1]
    for row in range(rows):
        for group in range(groups):
            low, high = words[row, group, 0], words[row, group, 1]
            for index in range(16):
                code = _block(low, high, index)
                number = code >> 4 if code < _BLOCK_CODES else np.int64(5)
                at = 64 * group + 4 * index
                first, second = at + _FIRST[number], at + _SECOND[number]
                codes[row, first], codes[row, second] = code & 3, code >> 2 & 3
                kept[row, first] = kept[row, second] = True


@compiled
def reach_w2s(words: np.ndarray) -> np.int64:
    """Return the largest row sum of absolute integer weights in words uint64 [rows, groups, 2]; -1 when a block code is invalid."""
    # Absolute sums of both kept weights of a block by zero and by the two codes.
    table = np.empty((256, 16), np.int64)
    for byte in range(256):
        signed = byte - 256 if byte > 127 else byte
        for pair in range(16):
            table[byte, pair] = abs((pair & 3) - signed) + abs((pair >> 2) - signed)
    rows, groups = words.shape[0], words.shape[1]
    worst = np.int64(0)
    for row in range(rows):
        total = np.int64(0)
        for group in range(groups):
            low, high = words[row, group, 0], words[row, group, 1]
            zero = np.int64(high >> np.uint64(56))
            partial = np.int64(0)
            for index in range(16):
                code = _block(low, high, index)
                if code >= _BLOCK_CODES:
                    return np.int64(-1)
                partial += table[zero, code & 15]
            total += partial * np.int64(high >> np.uint64(48) & np.uint64(255))
        if total > worst:
            worst = total
    return worst


@compiled
def reach_grouped(words: np.ndarray, groups: int, run: tuple[int, int], bits: int, step: int) -> np.int64:
    """Return the largest row sum of absolute integer weights in words uint8 [rows, words, 16] of runs of groups.

    run: groups of a run, and data words of a group; bits: 2, 4 or 8 of a code; step: weight of one unit of a W4 offset.
    """
    rows = words.shape[0]
    run_groups, per_group = run
    worst = np.int64(0)
    for row in range(rows):
        total = np.int64(0)
        for group in range(groups):
            within = group % run_groups
            head = group // run_groups * (1 + run_groups * per_group)
            scale = np.int64(words[row, head, 2 * within])
            byte = np.int64(words[row, head, 2 * within + 1])
            offset = np.int64(byte - 256 if byte > 127 else byte)
            first = head + 1 + within * per_group
            partial = np.int64(0)
            for word in range(first, first + per_group):
                for index in range(16):
                    value = np.int64(words[row, word, index])
                    if bits == _W8:
                        partial += scale * abs(value - 256 if value > 127 else value)
                    elif bits == _W4:
                        partial += abs(scale * (value & 15) + step * offset) + abs(scale * (value >> 4) + step * offset)
                    else:
                        for shift in (0, 2, 4, 6):
                            partial += scale * abs((value >> shift & 3) - offset)
            total += partial
        if total > worst:
            worst = total
    return worst


@compiled
def deal(
    words: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
    slices: int,
    first_slice: int,
    header_blocks: int,
    stream: np.ndarray,
) -> None:
    """Fill the stream of one port, uint64 [beats, slices of the port, 2], zero before.

    words: uint64 [rows, body words, 2]; mantissa uint16 and exponent int8 [rows]; row r goes to slice r % slices, and
        the port's first slice is `first_slice`; a header word serves `header_blocks` row blocks.
    """
    rows, body = words.shape[0], words.shape[1]
    mine = stream.shape[1]
    blocks = (rows + slices - 1) // slices
    beat = 0
    for block in range(blocks):
        if block % header_blocks == 0:
            for entry in range(header_blocks):
                for slice_ in range(mine):
                    row = (block + entry) * slices + first_slice + slice_
                    if row < rows:
                        value = np.uint64(mantissa[row]) | np.uint64(np.uint8(exponent[row])) << np.uint64(16)
                        stream[beat, slice_, entry >> 1] |= value << np.uint64(32 * (entry & 1))
            beat += 1
        for slice_ in range(mine):
            row = block * slices + first_slice + slice_
            if row < rows:
                for word in range(body):
                    stream[beat + word, slice_, 0] = words[row, word, 0]
                    stream[beat + word, slice_, 1] = words[row, word, 1]
        beat += body
