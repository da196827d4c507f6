"""The engine as the host sees it: name of the kernel, and the AXI-Lite map of control, argument, status and identity registers."""

import dataclasses
import enum

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import isa_digest

__all__ = [
    "CONTROL_REGISTERS",
    "KERNEL",
    "PORT_BASE_OFFSET",
    "PORT_BASE_STRIDE",
    "ControlRegister",
    "ErrorCode",
    "Identity",
    "error_code",
    "error_sentence",
    "offset_of",
    "port_base_offset",
]

KERNEL = "lamforge"
"""Name of the Vitis kernel and of its top module."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlRegister:
    """One register; `width` is 32 or 64 bits (low word first, high word at offset + 4)."""

    name: str
    offset: int
    width: int
    writable: bool
    doc: str


def _register(name: str, offset: int, width: int, writable: bool, doc: str) -> ControlRegister:
    return ControlRegister(name=name, offset=offset, width=width, writable=writable, doc=doc)


CONTROL_REGISTERS: tuple[ControlRegister, ...] = (
    _register("control", 0x00, 32, True, "Bit 0 ap_start, 1 ap_done (clear on read), 2 ap_idle, 3 ap_ready, 7 auto_restart."),
    _register("global_interrupt", 0x04, 32, True, "Bit 0 enables the interrupt output."),
    _register("interrupt_enable", 0x08, 32, True, "Bit 0 ap_done, bit 1 ap_ready."),
    _register("interrupt_status", 0x0C, 32, True, "Bit 0 ap_done, bit 1 ap_ready; writing 1 toggles."),
    _register("side", 0x10, 64, True, "Byte address of the side memory, 4 KiB aligned."),
    _register("program", 0x1C, 64, True, "Byte address of the program, 1 KiB aligned."),
    _register("program_words", 0x28, 32, True, "Instructions in the program."),
    _register("position", 0x30, 32, True, "Position of the run's first token."),
    _register("slot", 0x38, 32, True, "Cache slot of the run's first token."),
    _register("error", 0x40, 32, False, "Error code in bits 0-7, detail in bits 8-31; zero after a good run."),
    _register("cycles", 0x48, 64, False, "Cycles of the last run."),
    _register("isa_digest", 0x54, 32, False, "First 32 bits of the instruction set's digest."),
    _register("engine_digest", 0x5C, 32, False, "First 32 bits of the engine configuration's digest."),
)

PORT_BASE_OFFSET = 0x80
PORT_BASE_STRIDE = 12
"""64-bit byte address of each stream port, 4 KiB aligned, from PORT_BASE_OFFSET on."""
_CODE_BITS = 8


def offset_of(name: str) -> int:
    """Return the byte offset of a register by name."""
    return next(register.offset for register in CONTROL_REGISTERS if register.name == name)


def port_base_offset(port: int) -> int:
    """Return the byte offset of the base address of a stream port."""
    return PORT_BASE_OFFSET + PORT_BASE_STRIDE * port


class ErrorCode(enum.IntEnum):
    """What stopped the engine: code, detail (the circuit's name of it, or None) and words for a sentence.

    Of several errors in one cycle the lowest code counts.
    """

    detail: str | None
    words: str

    def __new__(cls, code: int, detail: str | None, words: str) -> "ErrorCode":
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """The digests of an engine, in full and as the 32-bit words its registers read."""

    isa: str
    """Hexadecimal digest of the instruction set."""
    engine: str
    """Hexadecimal digest of the configuration."""

    @classmethod
    def of(cls, config: EngineConfig) -> "Identity":
        """Return the identity of the engine with this configuration."""
        return cls(isa=isa_digest(), engine=config.digest)

    @property
    def isa_word(self) -> int:
        """First 32 bits of the instruction set's digest."""
        return int(self.isa[:8], 16)

    @property
    def engine_word(self) -> int:
        """First 32 bits of the configuration's digest."""
        return int(self.engine[:8], 16)
