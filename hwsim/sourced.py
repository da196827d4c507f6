"""Knows that a number of a data file comes with its source: `{value: 1555 GB/s, kind: datasheet, source: "..."}`.

The value is a text with a unit where it has one (hwsim.units), a plain number where it has none, and a list or a mapping where
several numbers have one source.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from hwsim.errors import SpecError
from hwsim.units import Quantity

__all__ = ["KINDS", "Count", "Sourced", "number", "positive", "sourced"]

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
Amount = TypeVar("Amount", bound=Quantity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sourced(Generic[Value]):
    """A value, or several that belong together, with its source."""

    value: Value
    kind: str
    """One of KINDS."""
    source: str
    """Document, page or reason."""

    @property
    def is_assumed(self) -> bool:
        """Whether nobody published the value."""
        return self.kind == "assumed"


class Count(int):
    """A whole number of at least 1."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object, subject: str) -> Count:
        """Return the count in a data file; raise SpecError."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"{subject} must be a whole number of at least 1, not {value!r}")
        return cls(value)


def sourced(entry: object, subject: str, parse: Callable[[Any, str], Value]) -> Sourced[Value]:
    """Return an entry of a data file with its value parsed.

    subject: what the entry is, for refusals.
    parse: makes the value of what the file has, given that and the subject; raises SpecError.

    Raises:
        SpecError: it has no value, no kind of KINDS or no source, or the value is refused.
    """
    if not isinstance(entry, dict) or set(entry) != {"value", "kind", "source"}:
        raise SpecError(f"{subject} must have value, kind and source, not {entry!r}")
    kind, source = entry["kind"], entry["source"]
    if kind not in list(KINDS):
        raise SpecError(f"{subject} kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if not isinstance(source, str) or not source.strip():
        raise SpecError(f"{subject} source must say where the number comes from, not {source!r}")
    return Sourced(value=parse(entry["value"], subject), kind=kind, source=source)


def number(value: object, subject: str) -> float:
    """Return a finite number of at least 0; raise SpecError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise SpecError(f"{subject} must be a number of at least 0, not {value!r}")
    return float(value)


def positive(quantity: type[Amount]) -> Callable[[Any, str], Amount]:
    """Return what parses a text with a unit as a quantity above 0, and raises SpecError."""

    def parse(text: Any, subject: str) -> Amount:
        amount = quantity.of(text, subject)
        if not amount.value > 0:
            raise SpecError(f"{subject} must be above 0, not {text!r}")
        return amount

    return parse
