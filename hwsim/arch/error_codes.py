"""The error register of the engine: the codes in its bits 0-7, what the detail in its bits 8-31 is, and both in words."""

import enum

__all__ = ["ErrorCode", "error_code", "error_sentence"]

_CODE_BITS = 8


class ErrorCode(enum.IntEnum):
    """What stopped the engine: code, detail (the circuit's name of it, or None) and words for a sentence.

    Of several errors in one cycle the lowest code counts.
    """

    detail: str | None
    words: str

    def __new__(cls, code: int, detail: str | None, words: str) -> "ErrorCode":
        """Return the member of a code."""
        member = int.__new__(cls, code)
        member._value_, member.detail, member.words = code, detail, words
        return member

    BAD_CHECK = 1, "pc", "a bad check byte in word {detail}"
    BAD_OPCODE = 2, "pc", "an unknown opcode in word {detail}"
    DEEP_LOOP = 3, "pc", "a loop deeper than four at word {detail}"
    READ_RESPONSE = 4, "port", "a read error on port {detail}"
    WRITE_RESPONSE = 5, None, "a write error"
    WATCHDOG = 6, "pc", "the watchdog at word {detail}"
    TOKEN_OVERFLOW = 7, "pair", "a token counter that overflowed ({detail})"


def error_code(error: int) -> int:
    """Return the code in the error register, zero after a good run."""
    return error & (1 << _CODE_BITS) - 1


def error_sentence(error: int) -> str:
    """Return what the error register says, as words for a sentence."""
    code = error_code(error)
    words = next((each.words for each in ErrorCode if each == code), f"error {code}")
    return words.format(detail=error >> _CODE_BITS)
