"""The page docs/isa.md, rendered from the declarations: instructions, enumerations, control registers, timing constants.

`python -m hwsim.arch.reference [FILE]` writes the page to FILE, or to standard output.
"""

import ast
import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

from hwsim.arch import config, isa, numerics, registers, timing
from hwsim.arch.assembly import mnemonic
from hwsim.arch.doc_pages import docs_of, field_docs, table, write_page
from hwsim.arch.fields import CHECK_VALUE, HEADER, WORD_BITS, Field, Instruction, Unit

__all__ = ["render"]

_HEADER_DOCS = {
    "opcode": "Which instruction.",
    "wait": "Units of which one token is consumed at issue; bit u is unit u.",
    "signal": "Units that get one token at retirement.",
    "register0": "Register of operand slot 0; register 0 reads zero.",
    "register1": "Register of operand slot 1.",
    "register2": "Register of operand slot 2.",
    "check": f"Makes the exclusive or of the word's bytes {CHECK_VALUE:#x}.",
}


def render() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Instruction reference",
        "Generated from the declarations in `hwsim/arch` by `make docs`; edit those, not this page. What each unit does"
        " with an instruction, and in which cycle, is in [engine.md](engine.md).",
        "## Word",
        f"{WORD_BITS} bits, little-endian in memory. Bits no field covers are zero.",
        table(("field", "bits", "meaning"), ((f"`{name}`", _span(*place), _HEADER_DOCS[name]) for name, place in HEADER.items())),
        "Units: " + ", ".join(f"{unit.name} is {unit.value}" for unit in Unit) + ".",
        f"There are {isa.REGISTERS} registers of 32 bits. At the start register {isa.REGISTER_POSITION} holds the"
        f" position of the run's first token, register {isa.REGISTER_SLOT} its cache slot, the others zero."
        " A field with an operand slot means its own value plus that slot's register, modulo 2**32.",
        "## Instructions",
        table(
            ("opcode", "text", "unit", "does"),
            (
                (
                    str(kind.opcode),
                    f"[`{mnemonic(kind)}`](#{mnemonic(kind)})",
                    _unit(kind),
                    str(inspect.getdoc(kind)).partition("\n")[0],
                )
                for kind in isa.INSTRUCTIONS
            ),
        ),
    ]
    for kind in isa.INSTRUCTIONS:
        title = f"`{kind.__name__}`, opcode {kind.opcode}, unit {_unit(kind)}."
        parts += [f"### {mnemonic(kind)}", f"{title} {inspect.getdoc(kind)}"]
        if kind.layout:
            heads = ("field", "bits", "values", "default", "slot", "meaning")
            parts.append(table(heads, (_field_row(field, getattr(kind, field.name, None)) for field in kind.layout)))
    parts.append("## Values")
    enumerations = [field.kind for kind in isa.INSTRUCTIONS for field in kind.layout if field.kind is not None]
    for enumeration in dict.fromkeys(enumerations):
        docs = field_docs(enumeration)
        parts += [f"### {enumeration.__name__}", str(inspect.getdoc(enumeration))]
        rows = [(str(member.value), f"`{member.name.lower()}`", docs.get(member.name, "")) for member in enumeration]
        columns = 3 if any(docs.values()) else 2
        parts.append(table(("value", "text", "meaning")[:columns], (row[:columns] for row in rows)))
    parts += [
        "## Control registers",
        str(inspect.getdoc(registers)),
        table(
            ("offset", "register", "bits", "access", "meaning"),
            (
                (f"{r.offset:#04x}", f"`{r.name}`", str(r.width), "read, write" if r.writable else "read", r.doc)
                for r in registers.CONTROL_REGISTERS
            ),
        ),
        f"From {registers.PORT_BASE_OFFSET:#x} on, every {registers.PORT_BASE_STRIDE} bytes: the byte address of each"
        " stream port's memory, 64 bits, 4 KiB aligned.",
        "## Timing constants",
        str(inspect.getdoc(timing)),
        _constants(timing),
        "## Numeric constants",
        "Of `hwsim.arch.numerics`, the arithmetic that reference, simulator and circuit share.",
        _constants(numerics),
        "## Engine configuration",
        str(inspect.getdoc(config.EngineConfig)),
        table(("field", "type", "meaning"), _config_rows(config.EngineConfig)),
    ]
    return "\n\n".join(parts) + "\n"


def _span(offset: int, width: int) -> str:
    return str(offset) if width == 1 else f"{offset}-{offset + width - 1}"


def _unit(kind: type[Instruction]) -> str:
    return "sequencer" if kind.unit is None else kind.unit.name


def _field_row(field: Field, default: object) -> tuple[str, ...]:
    if field.kind is not None:
        values = f"[{field.kind.__name__}](#{field.kind.__name__.lower()})"
    elif field.signed:
        values = f"-2**{field.width - 1} to 2**{field.width - 1} - 1"
    else:
        top = str((1 << field.width) - 1) if field.width <= 16 else f"2**{field.width} - 1"
        values = f"0 to {top}"
    shown = "" if default is None else default.name.lower() if isinstance(default, enum.Enum) else str(default)
    slot = "" if field.register is None else str(field.register)
    return f"`{field.name}`", _span(field.offset, field.width), values, shown, slot, field.doc


def _config_rows(cls: type[Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(cls)
    docs = field_docs(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _config_rows(typing.cast(type[Any], kind), f"{prefix}{field.name}.")
        else:
            yield f"`{prefix}{field.name}`", kind.__name__, docs.get(field.name, "")


def _constants(module: types.ModuleType) -> str:
    docs = docs_of(ast.parse(inspect.getsource(module)).body)
    names = [name for name in docs if name.isupper() and name in module.__all__]
    return table(("constant", "value", "meaning"), ((f"`{name}`", str(getattr(module, name)), docs[name]) for name in names))


if __name__ == "__main__":
    write_page(render())
