"""The digest of the instruction set: what a program and an engine must share to understand each other."""

import enum
import hashlib
import json

from hwsim.arch.fields import HEADER
from hwsim.arch.isa import INSTRUCTIONS

__all__ = ["isa_digest"]


def isa_digest() -> str:
    """Return the hexadecimal SHA-256 of every word layout: the header, and name, opcode and fields of each class."""
    layouts = [
        {
            "name": kind.__name__,
            "opcode": kind.opcode,
            "fields": [
                [field.name, field.offset, field.width, field.signed, field.register, _members(field.kind)]
                for field in kind.layout
            ],
        }
        for kind in INSTRUCTIONS
    ]
    text = json.dumps(
        {"header": {name: list(place) for name, place in HEADER.items()}, "instructions": layouts}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _members(kind: type[enum.IntEnum] | None) -> list[list[object]] | None:
    """Return the names and values of an enumeration, or None for an integer."""
    return None if kind is None else [[member.name, int(member)] for member in kind]
