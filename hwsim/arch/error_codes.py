"""The error register of the engine: the codes in its bits 0-7, what the detail in its bits 8-31 means, and both in words."""

import dataclasses
import enum

from hwsim.arch.complete import require_rows

__all__ = ["ERROR_MEANINGS", "ErrorCode", "ErrorDetail", "ErrorMeaning", "error_code", "error_sentence"]

_CODE_BITS = 8


class ErrorCode(enum.IntEnum):
    """What stopped the engine; of several errors in one cycle the lowest counts."""

    BAD_CHECK = 1
    BAD_OPCODE = 2
    DEEP_LOOP = 3
    READ_RESPONSE = 4
    WRITE_RESPONSE = 5
    WATCHDOG = 6
    TOKEN_OVERFLOW = 7


class ErrorDetail(enum.StrEnum):
    """What the detail of an error is."""

    WORD = "pc"
    """Index of the instruction word."""
    PORT = "port"
    """Number of the stream port, or the number of stream ports for the side port."""
    UNITS = "pair"
    """Unit that gives the token * 4 + unit that takes it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorMeaning:
    """One error: its detail, or None where the detail is zero, and words for a sentence, in which `{detail}` stands for it."""

    detail: ErrorDetail | None
    words: str


ERROR_MEANINGS: dict[ErrorCode, ErrorMeaning] = {
    ErrorCode.BAD_CHECK: ErrorMeaning(detail=ErrorDetail.WORD, words="a bad check byte in word {detail}"),
    ErrorCode.BAD_OPCODE: ErrorMeaning(detail=ErrorDetail.WORD, words="an unknown opcode in word {detail}"),
    ErrorCode.DEEP_LOOP: ErrorMeaning(detail=ErrorDetail.WORD, words="a loop deeper than four at word {detail}"),
    ErrorCode.READ_RESPONSE: ErrorMeaning(detail=ErrorDetail.PORT, words="a read error on port {detail}"),
    ErrorCode.WRITE_RESPONSE: ErrorMeaning(detail=None, words="a write error"),
    ErrorCode.WATCHDOG: ErrorMeaning(detail=ErrorDetail.WORD, words="the watchdog at word {detail}"),
    ErrorCode.TOKEN_OVERFLOW: ErrorMeaning(detail=ErrorDetail.UNITS, words="a token counter that overflowed ({detail})"),
}
"""Detail and words of every code."""
require_rows(ERROR_MEANINGS, ErrorCode, what="a meaning", module=__name__)


def error_code(error: int) -> int:
    """Return the code in the error register, zero after a good run."""
    return error & (1 << _CODE_BITS) - 1


def error_sentence(error: int) -> str:
    """Return what the error register says, as words for a sentence."""
    code = error_code(error)
    if code not in ERROR_MEANINGS:
        return f"error {code}"
    return ERROR_MEANINGS[ErrorCode(code)].words.format(detail=error >> _CODE_BITS)
