"""Measurements, and settings for them, from JSON; a machine with PyTorch alone reads them too."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from hwsim.errors import SpecError
from hwsim.nearest import nearest
from hwsim.plain import Settings, read_json
from reports.studies.gpu_baseline.baseline import Baseline, BaselineSettings, Took

__all__ = ["read_baseline", "read_settings"]

_SHOWN = 200
"""Characters of a wrong value that a refusal shows."""


def read_baseline(file: Path | Traversable) -> Baseline:
    """Return the measurements in a file; raise SpecError where it is none, or lacks something."""
    found: Baseline = _read(Baseline, _json(file), "")
    return found


def read_settings(changes: Settings) -> BaselineSettings:
    """Return the settings that ship, some changed by name; raise SpecError where one is wrong."""
    document = _json(resources.files("reports.studies.gpu_baseline") / "settings.json")
    found: BaselineSettings = _read(BaselineSettings, {**document, **changes}, "settings")
    return found


def _json(file: Path | Traversable) -> typing.Any:
    return read_json("Measurements", file, file.name, SpecError)


def _read(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    """Return a plain value as the type of its field says.

    where: the field, for refusals.
    """
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(members[0], value, where)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _fields(typing.cast(type, kind), value, where)
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _read(members[1], each, f"{where}.{name}") for name, each in value.items()}
    if origin is tuple and isinstance(value, list | tuple) and (members[-1] is ... or len(members) == len(value)):
        kinds = (members[0],) * len(value) if members[-1] is ... else members
        return tuple(_read(each, part, f"{where}[{at}]") for at, (each, part) in enumerate(zip(kinds, value, strict=True)))
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    needed = kind.__name__ if not members else str(kind).replace("collections.abc.", "")
    raise SpecError(f"Measurements must have {where} of type {needed}, not {str(value)[:_SHOWN]!r}")


def _fields(kind: type, value: Mapping[str, object], where: str) -> object:
    """Return a mapping as a dataclass; what a row took stands among the row's own fields."""
    types_, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    taken = [field.name for field in dataclasses.fields(Took)] if "took" in types_ else []
    names = [field.name for field in fields if field.name != "took"]
    for name in value:
        if name not in names + taken:
            raise SpecError(f"Field of {where or 'measurements'} must be {nearest(name, names)}, not {name!r}")
    given = {name: _read(types_[name], value[name], f"{where}.{name}".lstrip(".")) for name in names if name in value}
    for field in fields:
        if field.name in names and field.name not in value and field.default is dataclasses.MISSING:
            raise SpecError(f"Measurements must have {where}.{field.name}, which is missing".replace(" .", " "))
    if taken:
        given["took"] = _fields(Took, {name: value[name] for name in taken if name in value}, where)
    return kind(**given)
