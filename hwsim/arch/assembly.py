"""The text form of instructions: one line each, derived from the field declarations; it parses back to equal objects.

    dot format=w4 rows=1 source=0 inner=18 blocks=r3+18 scale=0 address=0 wait=vector signal=vector,mover

The mnemonic is the class name in lower case. Fields follow in declared order; one that has its default is left out.
An operand field with a register reads `r3`, or `r3+18` with an immediate. `register0=r1` names the register of an
operand slot that no field uses. A program has one instruction per line, the bodies of loops indented; `#` starts a
comment that ends with the line.
"""

import dataclasses
import enum
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hwsim.arch.fields import HEADER, Field, Instruction, Unit
from hwsim.arch.isa import INSTRUCTIONS, Loop
from hwsim.errors import IsaError, shown
from hwsim.nearest import nearest

__all__ = ["MNEMONICS", "format_instruction", "format_program", "mnemonic", "parse_instruction", "parse_program"]

_SLOTS = 3
_OPERAND = re.compile(r"r(?P<register>[0-9]+)(?:\+(?P<value>\w+))?|(?P<immediate>-?\w+)")


def mnemonic(kind: type[Instruction]) -> str:
    """Return the first word of a line: the class name in lower case."""
    return kind.__name__.lower()


MNEMONICS: dict[str, type[Instruction]] = {mnemonic(kind): kind for kind in INSTRUCTIONS}
"""Instruction classes by the first word of their line."""


def format_instruction(instruction: Instruction) -> str:
    """Return the line of an instruction, without a line end."""
    kind = type(instruction)
    defaults = _defaults(kind)
    parts = [mnemonic(kind)]
    for field in kind.layout:
        value = int(getattr(instruction, field.name))
        number = 0 if field.register is None else instruction.registers[field.register]
        if number or value != defaults.get(field.name):
            parts.append(f"{field.name}={_format_value(field, value, number)}")
    used = _used_slots(kind)
    for slot, number in enumerate(instruction.registers):
        if number and slot not in used:
            parts.append(f"register{slot}=r{number}")
    for name in ("wait", "signal"):
        mask = getattr(instruction, name)
        if mask:
            parts.append(f"{name}={','.join(unit.name.lower() for unit in Unit if mask >> unit & 1)}")
    return " ".join(parts)


def format_program(instructions: Iterable[Instruction], comments: Sequence[str] = ()) -> str:
    """Return the text of a program, bodies of loops indented; comment i, where there is one, follows line i."""
    lines: list[str] = []
    open_bodies: list[int] = []
    for index, instruction in enumerate(instructions):
        line = "  " * len(open_bodies) + format_instruction(instruction)
        lines.append(f"{line}  # {comments[index]}" if index < len(comments) and comments[index] else line)
        open_bodies = [left - 1 for left in open_bodies]
        if isinstance(instruction, Loop):
            open_bodies.append(instruction.length)
        open_bodies = [left for left in open_bodies if left > 0]
    return "".join(f"{line}\n" for line in lines)


def parse_instruction(line: str) -> Instruction:
    """Return the instruction of a line; raise IsaError that names the word of the line that is wrong."""
    name, *settings = line.split()
    if name not in MNEMONICS:
        raise IsaError(f"Instruction must be {nearest(name, MNEMONICS)}, not {shown(name)}")
    kind = MNEMONICS[name]
    fields = {field.name: field for field in kind.layout}
    used = _used_slots(kind)
    spare = {f"register{slot}": slot for slot in range(_SLOTS) if slot not in used}
    values: dict[str, Any] = {}
    registers: dict[int, int] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        known = [*fields, *spare, "wait", "signal"]
        if not equals or key not in known:
            raise IsaError(f"Setting of {name} must be {nearest(key, known)}, followed by '=', not {shown(setting)}")
        if key in values or spare.get(key) in registers:
            raise IsaError(f"Setting {name} {key} must appear once, not twice")
        if key in ("wait", "signal"):
            values[key] = sum({1 << _parse_member(f"{name} {key}", Unit, unit) for unit in text.split(",")})
        elif key in spare:
            registers[spare[key]] = _parse_operand(f"{name} {key}", text, None)[1]
        else:
            field = fields[key]
            number = 0
            if field.kind is not None:
                values[key] = _parse_member(f"{name} {key}", field.kind, text)
            else:
                values[key], number = _parse_operand(f"{name} {key}", text, field)
            if field.register is not None and registers.setdefault(field.register, number) != number:
                raise IsaError(f"Operand {name} {key} must use register r{registers[field.register]}, not r{number}")
    defaults = _defaults(kind)
    for field in kind.layout:
        if field.name not in values and field.name not in defaults:
            raise IsaError(f"Instruction {name} must have the field {shown(field.name)}")
    values["registers"] = tuple(registers.get(slot, 0) for slot in range(_SLOTS))
    instruction = kind(**values)
    instruction.encode()
    return instruction


def parse_program(text: str) -> tuple[Instruction, ...]:
    """Return the instructions of a program's text; raise IsaError that names the line."""
    instructions = []
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.partition("#")[0].strip()
        if not code:
            continue
        try:
            instructions.append(parse_instruction(code))
        except IsaError as error:
            raise IsaError(f"Line {number}: {error}") from None
    return tuple(instructions)


def _defaults(kind: type[Instruction]) -> dict[str, int]:
    own = {field.name for field in kind.layout}
    declared = dataclasses.fields(kind)
    return {f.name: int(f.default) for f in declared if f.name in own and f.default is not dataclasses.MISSING}


def _used_slots(kind: type[Instruction]) -> set[int]:
    return {field.register for field in kind.layout if field.register is not None}


def _format_value(field: Field, value: int, number: int) -> str:
    if field.kind is not None:
        return field.kind(value).name.lower()
    if number:
        return f"r{number}+{value}" if value else f"r{number}"
    return str(value)


def _parse_member(subject: str, kind: type[enum.IntEnum], text: str) -> enum.IntEnum:
    members = {member.name.lower(): member for member in kind}
    if text not in members:
        raise IsaError(f"Field {subject} must be one of {', '.join(members)}, not {shown(text)}")
    return members[text]


def _parse_operand(subject: str, text: str, field: Field | None) -> tuple[int, int]:
    """Return (value, register number) of `18`, `r3` or `r3+18`; no field stands for a bare register."""
    match = _OPERAND.fullmatch(text)
    is_register = match is not None and match["register"] is not None
    if field is None:
        form = "a register such as r1"
    else:
        form = "a number" if field.register is None else "a number, r1 or r1+8"
    is_wrong_kind = not is_register if field is None else is_register and field.register is None
    if match is None or is_wrong_kind:
        raise IsaError(f"Field {subject} must be {form}, not {shown(text)}")
    number = int(match["register"]) if is_register else 0
    limit = (1 << HEADER["register0"][1]) - 1
    if number > limit:
        raise IsaError(f"Field {subject} must use a register up to r{limit}, not r{number}")
    try:
        value = int(match["value"] or match["immediate"] or "0", 0)
    except ValueError:
        raise IsaError(f"Field {subject} must be {form}, not {shown(text)}") from None
    return value, number
