"""Digests of the instruction set and of an engine: what a program, an engine and its host must share."""

import dataclasses
import enum
import hashlib
import json

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import HEADER
from hwsim.arch.isa import INSTRUCTIONS

__all__ = ["Identity", "isa_digest"]


def isa_digest() -> str:
    """Return the hexadecimal SHA-256 of every word layout: the header, and name, opcode and fields of each class."""
    layouts = [
        {
            "name": kind.__name__,
            "opcode": kind.opcode,
            "fields": [
                [field.name, field.offset, field.width, field.signed, field.register, _members(field.kind)] for field in kind.layout
            ],
        }
        for kind in INSTRUCTIONS
    ]
    text = json.dumps({"header": {name: list(place) for name, place in HEADER.items()}, "instructions": layouts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _members(kind: type[enum.IntEnum] | None) -> list[list[object]] | None:
    """Return the names and values of an enumeration, or None for an integer."""
    return None if kind is None else [[member.name, int(member)] for member in kind]


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
