"""What an instruction class is made of: typed bit fields, register operands, and the 128-bit word they share."""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
from collections.abc import Callable
from typing import Any, ClassVar, Self, dataclass_transform

from hwsim.errors import IsaError

__all__ = ["CHECK_VALUE", "HEADER", "WORD_BITS", "Field", "Instruction", "Unit", "bits", "enumerated", "operand", "signed"]

WORD_BITS = 128
CHECK_VALUE = 0xA5
"""The exclusive or of the 16 bytes of every valid word."""
_KEPT = 1 << 12
"""Encoded instructions that are kept of each class: some megabytes in all."""


class Unit(enum.IntEnum):
    """A unit of the engine with its own in-order queue; the value is its bit in wait and signal masks."""

    FETCH = 0
    MATRIX = 1
    VECTOR = 2
    MOVER = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """Where a field lies in the word and how its value is read.

    `offset` and `width` are in bits from the least significant; `register` is the operand slot (0, 1, 2) whose
    register is added at dispatch, or None; `kind` is the enumeration of the values, or None for an integer.
    """

    name: str
    width: int
    offset: int
    signed: bool = False
    register: int | None = None
    kind: type[enum.IntEnum] | None = None
    doc: str

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value."""
        low = -(1 << (self.width - 1)) if self.signed else 0
        return low, low + (1 << self.width) - 1

    def extract(self, word: int) -> int:
        """Return the field's value in the word."""
        raw = (word >> self.offset) & ((1 << self.width) - 1)
        return raw - (1 << self.width) if self.signed and raw >> (self.width - 1) else raw


# The header every word starts with: opcode, dependency masks, three operand registers, and the check byte on top.
HEADER: dict[str, tuple[int, int]] = {
    "opcode": (0, 5),
    "wait": (5, 4),
    "signal": (9, 4),
    "register0": (13, 4),
    "register1": (17, 4),
    "register2": (21, 4),
    "check": (120, 8),
}
_BODY_START, _BODY_END = 25, 120


def bits(width: int, *, doc: str, default: int | None = None) -> Any:
    """Declare an unsigned field."""
    return _declare({"width": width, "doc": doc}, default)


def signed(width: int, *, doc: str, default: int | None = None) -> Any:
    """Declare a two's complement field."""
    return _declare({"width": width, "signed": True, "doc": doc}, default)


def operand(width: int, slot: int, *, doc: str, default: int = 0) -> Any:
    """Declare an unsigned field to which dispatch adds the register in operand slot `slot` (register 0 reads zero)."""
    return _declare({"width": width, "register": slot, "doc": doc}, default)


def enumerated(kind: type[enum.IntEnum], width: int, *, doc: str, default: int | None = None) -> Any:
    """Declare a field whose values are the members of `kind`."""
    return _declare({"width": width, "kind": kind, "doc": doc}, default)


def _declare(metadata: dict[str, Any], default: int | None) -> Any:
    return dataclasses.field(default=dataclasses.MISSING if default is None else default, metadata=metadata)


_HEADER_FIELDS = tuple(
    Field(name=name, offset=HEADER[name][0], width=HEADER[name][1], doc="Of every instruction.")
    for name in ("wait", "signal", "register0", "register1", "register2")
)


def _check_byte(word: int) -> int:
    """Return the exclusive or of the bytes of a word: its halves, their halves, down to bytes, are folded."""
    for bits in (WORD_BITS // 2, WORD_BITS // 4, WORD_BITS // 8, WORD_BITS // 16):
        word ^= word >> bits
    return word & 0xFF


def _encoded(kind: type[Instruction], values: tuple[int, ...]) -> int:
    word = kind.opcode
    for value, (low, high, mask, offset, field) in zip(values, kind._places, strict=True):
        if value:
            if not low <= value <= high:
                raise IsaError(f"Field {kind.__name__}.{field.name} must be {low} to {high} ({field.width} bits), not {value}")
            word |= (int(value) & mask) << offset
    return word | ((_check_byte(word) ^ CHECK_VALUE) << HEADER["check"][0])


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(bits, signed, operand, enumerated))
class _Declared:
    """Tells type checkers that a class below this one is a dataclass of the fields it declares."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction(_Declared):
    """Base of the instruction classes: a subclass declares its fields; layout, encoder and decoder follow.

    `wait` names the units one token of which is consumed at issue, `signal` the units that get one at retirement
    (bit masks over `Unit`); `registers` holds the register numbers of the three operand slots.
    """

    opcode: ClassVar[int]
    unit: ClassVar[Unit | None]
    layout: ClassVar[tuple[Field, ...]]
    _by_name: ClassVar[dict[str, Field]]
    _values_of: ClassVar[operator.attrgetter[tuple[int, ...]]]
    _places: ClassVar[tuple[tuple[int, int, int, int, Field], ...]]
    """Limits, mask, offset and declaration of the fields of `_values_of`, then of the registers."""
    _word_of: ClassVar[Callable[[tuple[int, ...]], int]]
    """The word of these values. It is kept: programs that are compiled after one another share most of their instructions."""
    wait: int = 0
    signal: int = 0
    registers: tuple[int, int, int] = (0, 0, 0)

    def __init_subclass__(cls, *, opcode: int, unit: Unit | None) -> None:
        own = cls.__dict__.get("__annotations__", {})
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        cls.opcode, cls.unit = opcode, unit
        layout, offset = [], _BODY_START
        for declared in dataclasses.fields(cls):
            if declared.name in own:
                layout.append(Field(name=declared.name, offset=offset, **declared.metadata))
                offset += layout[-1].width
        if offset > _BODY_END:
            size, limit = offset - _BODY_START, _BODY_END - _BODY_START
            raise IsaError(f"Instruction {cls.__name__} must fit {limit} body bits, not {size}")
        cls.layout, cls._by_name = tuple(layout), {field.name: field for field in layout}
        masks, registers = _HEADER_FIELDS[:2], _HEADER_FIELDS[2:]
        cls._values_of = operator.attrgetter(*(field.name for field in (*masks, *layout)))
        cls._places = tuple((*field.limits, (1 << field.width) - 1, field.offset, field) for field in (*masks, *layout, *registers))
        cls._word_of = functools.lru_cache(maxsize=_KEPT)(functools.partial(_encoded, cls))

    @classmethod
    def field(cls, name: str) -> Field:
        """Return the field called `name`."""
        return cls._by_name[name]

    def with_tokens(self, wait: int, signal: int) -> Self:
        """Return the instruction with other masks, many times faster than `dataclasses.replace`."""
        made = object.__new__(type(self))
        values = made.__dict__
        values.update(self.__dict__)
        values["wait"], values["signal"] = wait, signal
        return made

    def encode(self) -> int:
        """Return the 128-bit word; raise IsaError when a value does not fit."""
        return type(self)._word_of((*self._values_of(self), *self.registers))

    @classmethod
    def decode_body(cls, word: int) -> Instruction:
        """Return the instruction of this class that `word` holds; raise IsaError for stray bits or values."""
        values: dict[str, Any] = {}
        header = {name: word >> offset & (1 << width) - 1 for name, (offset, width) in HEADER.items()}
        covered = sum((1 << width) - 1 << offset for offset, width in HEADER.values())
        for field in cls.layout:
            raw = field.extract(word)
            covered |= ((1 << field.width) - 1) << field.offset
            if field.kind is not None and raw not in set(field.kind):
                raise IsaError(f"Field {cls.__name__}.{field.name} must be a {field.kind.__name__}, not {raw}")
            values[field.name] = field.kind(raw) if field.kind is not None else raw
        if word & ~covered & ((1 << WORD_BITS) - 1):
            raise IsaError(f"Unused bits of {cls.__name__} must be zero, not {word & ~covered:#x}")
        registers = (header["register0"], header["register1"], header["register2"])
        return cls(wait=header["wait"], signal=header["signal"], registers=registers, **values)

    @staticmethod
    def check(word: int) -> bool:
        """Return whether the word's bytes give the check value."""
        return _check_byte(word) == CHECK_VALUE
