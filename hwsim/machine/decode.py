"""The words of a program as arrays: every field of every word, and which words the engine would refuse."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from hwsim.arch.fields import CHECK_VALUE, HEADER, Field, Instruction
from hwsim.arch.isa import INSTRUCTIONS, decode
from hwsim.errors import IsaError

__all__ = ["DecodedWords", "decode_words"]

_BODY = 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodedWords:
    """Fields of all words as int64 arrays [words]; a field of another class than the word's own means nothing there.

    `header` holds the header fields by name, `body` the fields of each class by name; `is_good` is false for a word
    that `hwsim.arch.isa.decode` refuses.
    """

    words: tuple[int, ...]
    header: dict[str, np.ndarray]
    body: dict[type[Instruction], dict[str, np.ndarray]]
    is_good: np.ndarray

    def instruction(self, pc: int) -> Instruction:
        """Return the decoded word at `pc`; raise IsaError naming pc."""
        try:
            return decode(self.words[pc])
        except IsaError as error:
            raise IsaError(f"Word at pc {pc} must be an instruction: {error}") from None


def decode_words(words: Sequence[int]) -> DecodedWords:
    """Return the fields of all `words` (128-bit integers)."""
    return _decode(tuple(words))


@functools.lru_cache(maxsize=8)
def _decode(words: tuple[int, ...]) -> DecodedWords:
    for pc, word in enumerate(words):
        if not 0 <= word < 1 << 128:
            raise IsaError(f"Word at pc {pc} must have 128 bits, not the value {word}")
    raw = np.frombuffer(b"".join(word.to_bytes(16, "little") for word in words), dtype=np.uint8).reshape(-1, 16)
    halves = raw.view("<u8").reshape(-1, 2)
    low, high = halves[:, 0], halves[:, 1]
    header = {name: _bits(low, high, offset, width).astype(np.int64) for name, (offset, width) in HEADER.items()}
    is_checked = np.bitwise_xor.reduce(raw, axis=1) == CHECK_VALUE
    body: dict[type[Instruction], dict[str, np.ndarray]] = {}
    is_good = np.zeros(len(words), dtype=bool)
    for kind in INSTRUCTIONS:
        body[kind] = {field.name: _value(low, high, field) for field in kind.layout}
        mine = is_checked & (header["opcode"] == kind.opcode)
        for field in kind.layout:
            if field.kind is not None:
                mine &= np.isin(body[kind][field.name], [int(member) for member in field.kind])
        end = max((field.offset + field.width for field in kind.layout), default=_BODY)
        unused = HEADER["check"][0] - end
        if unused:
            mine &= (_bits(low, high, end, min(unused, 64)) == 0) & (
                _bits(low, high, end + min(unused, 64), max(unused - 64, 0)) == 0
            )
        is_good |= mine
    return DecodedWords(words=words, header=header, body=body, is_good=is_good)


def _bits(low: np.ndarray, high: np.ndarray, offset: int, width: int) -> np.ndarray:
    if width == 0:
        return np.zeros_like(low)
    if offset >= 64:
        value = high >> np.uint64(offset - 64)
    elif offset == 0:
        value = low
    else:
        value = (low >> np.uint64(offset)) | (high << np.uint64(64 - offset))
    return value if width == 64 else value & np.uint64((1 << width) - 1)


def _value(low: np.ndarray, high: np.ndarray, field: Field) -> np.ndarray:
    value = _bits(low, high, field.offset, field.width).astype(np.int64)
    return value - ((value >> (field.width - 1)) << field.width) if field.signed else value
