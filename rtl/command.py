"""The command that a unit receives from its queue, and the access to the instruction's fields in it."""

from amaranth.hdl import Value
from amaranth.lib import data

from hwsim.arch.fields import HEADER, WORD_BITS, Instruction

__all__ = ["COMMAND", "field", "is_kind"]

COMMAND = data.StructLayout({"word": WORD_BITS, "operand": data.ArrayLayout(32, 3)})
"""A queue entry: the instruction word and the registers of its three operand slots."""


def field(command: data.View, kind: type[Instruction], name: str) -> Value:
    """Return a field of an instruction of class `kind`; operand fields come with their register added, in 32 bits."""
    declared = kind.field(name)
    raw = command.word[declared.offset : declared.offset + declared.width]
    if declared.register is not None:
        return (raw + command.operand[declared.register])[:32]
    return raw.as_signed() if declared.signed else raw


def is_kind(command: data.View, kind: type[Instruction]) -> Value:
    """Return whether the command's opcode is that of `kind`."""
    offset, width = HEADER["opcode"]
    return command.word[offset : offset + width] == kind.opcode
