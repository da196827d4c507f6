"""What the engine's error register says, as words for a sentence."""

__all__ = ["error_sentence"]

_ERRORS = {
    1: "a bad check byte in word {detail}",
    2: "an unknown opcode in word {detail}",
    3: "a loop deeper than four at word {detail}",
    4: "a read error on port {detail}",
    5: "a write error",
    6: "the watchdog at word {detail}",
    7: "a token counter that overflowed ({detail})",
}
"""By code, bits 0-7 of the register; the detail is in bits 8-31 (docs/engine.md section 8)."""


def error_sentence(error: int) -> str:
    """Return what the error register says."""
    code, detail = error & 0xFF, error >> 8
    return _ERRORS.get(code, f"error {code}").format(detail=detail)
