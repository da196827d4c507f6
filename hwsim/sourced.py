"""A number of a data file with its source: `{value: 1555 GB/s, kind: datasheet, source: "..."}`.

The value is a text with a unit where it has one (hwsim.units), a plain number where it has none, and a list or a mapping where
several numbers have one source.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, TypeVar

from hwsim.errors import SpecError, shown
from hwsim.reader import Matching, OneOf, spelled
from hwsim.units import Bytes, Quantity

__all__ = ["KINDS", "Count", "Sourced", "facts_of", "value_text"]

KINDS = {
    "datasheet": "stated by the maker, or by a standard",
    "measured": "measured on the thing itself",
    "paper": "printed in a publication about the thing",
    "tool": "figure of the vendor's tool on a routed design",
    "simulator": "parameter of a published simulator",
    "derived": "computed from numbers that have sources",
    "assumed": "published by nobody, or recalled and not checked",
}
"""How a number is founded, and what each kind means."""

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sourced(Generic[Value]):
    """A value, or several that belong together, with its source."""

    value: Value
    kind: Annotated[str, OneOf(tuple(KINDS))]
    """One of KINDS."""
    source: Annotated[str, Matching(r"[\s\S]*\S[\s\S]*", "text that says where the number comes from")]
    """Document, page or reason."""

    @property
    def is_assumed(self) -> bool:
        """Whether nobody published the value."""
        return self.kind == "assumed"


def facts_of(declared: Any) -> dict[str, Sourced[Any]]:
    """Return the fields of a dataclass's object that have a source, in the order of the declarations."""
    values = {field.name: getattr(declared, field.name) for field in dataclasses.fields(declared)}
    return {name: value for name, value in values.items() if isinstance(value, Sourced)}


def value_text(value: Any) -> str:
    """Return the value of a number with a source as people write it, with its unit."""
    if isinstance(value, tuple):
        return ", ".join(map(value_text, value))
    if isinstance(value, Quantity):
        return _quantity(value)
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return " ".join(f"{field.name} {value_text(getattr(value, field.name))}" for field in dataclasses.fields(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quantity(quantity: Quantity) -> str:
    """Return a quantity in the largest decimal unit of which there is one; pages and other whole KiB in these."""
    if isinstance(quantity, Bytes) and quantity.value % 1024 == 0 and quantity.value < 2**20:
        return f"{quantity.to('KiB'):g} KiB"
    decimal = [name for name in quantity.spellings if name.endswith(quantity.unit) and "i" not in name]
    name = max((name for name in decimal if quantity.to(name) >= 1), key=quantity.spellings.__getitem__, default=quantity.unit)
    return f"{quantity.to(name):.7g} {name}"


class Count(int):
    """A whole number of at least 1."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object, subject: str) -> Count:
        """Return the count in a data file; raise SpecError."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"{subject} must be a whole number of at least 1, not {shown(value)}")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        return spelled(cls.of, core_schema.int_schema(ge=1), "a whole number of at least 1")
