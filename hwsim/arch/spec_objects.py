"""Plain values of a spec as the typed object they describe, field by field; what does not fit is said in a sentence."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from hwsim.arch.spec_files import field_names
from hwsim.errors import SpecError
from hwsim.sourced import Sourced, positive, sourced
from hwsim.units import Quantity

__all__ = ["spec_object"]


def spec_object(kind: Any, data: object, where: str) -> Any:
    """Return plain values as an object of a type.

    kind: a dataclass, a tuple of any length, `Sourced`, a quantity, `str`, `bool`, `int`, `float`, or a class that makes itself
        of a text with `of(text, subject)`; an object of a dataclass is taken as it is. A field that has a default may be absent,
        and only such a field may be `... | None`.
    where: what the object is, for refusals.

    Raises:
        SpecError: a field is missing or unknown, or a value is of another type, negative or (a quantity) zero.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return spec_object(arguments[0], data, where)
    if origin is Sourced:
        return sourced(data, where, lambda value, subject: spec_object(arguments[0], value, subject))
    if origin is tuple:
        if not isinstance(data, list) or not data:
            raise SpecError(f"{where} must be a list, not {data!r}")
        return tuple(spec_object(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if issubclass(kind, Quantity):
        return positive(kind)(data, where)
    if hasattr(kind, "of"):
        return kind.of(data, where)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if isinstance(data, kind):
            return data
        names, hints = field_names(kind, data, where, SpecError), typing.get_type_hints(kind)
        fields = typing.cast(dict[str, object], data)
        return kind(**{name: spec_object(hints[name], fields[name], f"{where} {name}") for name in names})
    if kind is str:
        if not isinstance(data, str) or not data:
            raise SpecError(f"{where} must be text, not {data!r}")
        return data
    if kind is bool:
        if not isinstance(data, bool):
            raise SpecError(f"{where} must be true or false, not {data!r}")
        return data
    allowed = (int,) if kind is int else (int, float)
    if not isinstance(data, allowed) or isinstance(data, bool) or not 0 <= data < float("inf"):
        raise SpecError(f"{where} must be {'an integer' if kind is int else 'a number'} of at least 0, not {data!r}")
    return kind(data)
