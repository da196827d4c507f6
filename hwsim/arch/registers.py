"""The engine as the host sees it: name of the kernel, and the AXI-Lite map of control, argument, status and identity registers."""

import dataclasses

__all__ = [
    "CONTROL_REGISTERS",
    "KERNEL",
    "PORT_BASE_OFFSET",
    "PORT_BASE_STRIDE",
    "ControlRegister",
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


def offset_of(name: str) -> int:
    """Return the byte offset of a register by name."""
    return next(register.offset for register in CONTROL_REGISTERS if register.name == name)


def port_base_offset(port: int) -> int:
    """Return the byte offset of the base address of a stream port."""
    return PORT_BASE_OFFSET + PORT_BASE_STRIDE * port
