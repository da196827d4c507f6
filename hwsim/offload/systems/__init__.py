"""Systems as data: a file of `hwsim/specs/offload` says which composition, on which devices, with which numbers."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml

from hwsim.arch.spec_files import SpecFiles
from hwsim.arch.spec_objects import spec_object
from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.offload.devices import CARDS, CSDS, DRIVES, GPUS, HOSTS, Card, Csd, Drive, Family, Gpu, Host
from hwsim.offload.systems.flexgen import FlexGen
from hwsim.offload.systems.fpga import Fpga
from hwsim.offload.systems.gpu_only import GpuOnly
from hwsim.offload.systems.instinfer import DriveCache, InstInfer
from hwsim.offload.systems.shadowkv import ShadowKv
from hwsim.offload.systems.system import System
from hwsim.offload.systems.triforce import TriForce
from hwsim.offload.systems.zero import ZeroInference
from hwsim.sourced import Sourced

__all__ = ["METHODS", "System", "names", "system"]

METHODS: Mapping[str, type[System]] = {
    "gpu": GpuOnly,
    "zero": ZeroInference,
    "flexgen": FlexGen,
    "drive-cache": DriveCache,
    "instinfer": InstInfer,
    "triforce": TriForce,
    "shadowkv": ShadowKv,
    "fpga": Fpga,
}
"""Compositions by the name that files give in `method`."""

_FAMILIES: Mapping[type, Family[Any]] = {Gpu: GPUS, Host: HOSTS, Drive: DRIVES, Csd: CSDS, Card: CARDS}
_FILES = SpecFiles("System", "offload", SpecError)


def names() -> list[str]:
    """Return the names of the shipped systems."""
    return _FILES.names()


def system(name: str, settings: Sequence[str] = ()) -> System:
    """Return a shipped system by name, or the one in a YAML file by path, with values changed.

    settings: texts such as `csds=2` or `gpu=a100-sxm-80`; a number that has a source keeps its unit: `file_rate=2 GB/s`.

    Raises:
        SpecError: there is none of the name, a field or device is unknown, or a value is impossible.
    """
    fields = _fields(name)
    for setting in settings:
        _change(fields, setting, name)
    method = fields.pop("method", None)
    if not isinstance(method, str) or method not in METHODS:
        raise SpecError(f"System {name} method must be {nearest(str(method), METHODS)}, not {shown(method)}")
    kind = METHODS[method]
    return cast(System, spec_object(kind, _with_devices(kind, fields), f"System {name}"))


def _fields(name: str, extending: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what is in a system's file, over what is in the one that it extends.

    extending: names of the files that extend it.
    """
    data = _FILES.read(name)
    if not isinstance(data, dict):
        raise SpecError(f"System {name} must be a mapping of fields, not {shown(data)}")
    base = data.get("extends")
    if base is None:
        return dict(data)
    if not isinstance(base, str):
        raise SpecError(f"System {name} must extend a system by name, not {shown(base)}")
    if base in (*extending, name):
        raise SpecError(f"System {name} must extend another one, not itself")
    return _fields(base, (*extending, name)) | {key: value for key, value in data.items() if key != "extends"}


def _with_devices(kind: type, fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields with devices in place of their names."""
    hints = typing.get_type_hints(kind)
    return {name: _device(hints.get(name), value) for name, value in fields.items()}


def _device(hint: Any, value: object) -> object:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    family = _FAMILIES.get(kinds[0]) if kinds else None
    return family.load(value) if family is not None and isinstance(value, str) else value


def _change(fields: dict[str, Any], setting: str, name: str) -> None:
    """Change a value of a system's file, or of one that it may have, as a text says."""
    path, equals, text = setting.partition("=")
    if not path or not equals:
        raise SpecError(f"System setting must read PATH=VALUE, not {shown(setting)}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SpecError(f"System setting must have a value in YAML, not {shown(setting)}") from None
    *folders, last = path.split(".")
    kind: Any = METHODS.get(str(fields.get("method")))
    place = fields
    for folder in folders:
        known = _known(kind, place)
        if folder not in known:
            raise SpecError(f"System {name} setting must be {nearest(folder, known)}, not {shown(folder)}")
        if not isinstance(place.get(folder), dict) or _is_sourced(place[folder], known[folder]):
            raise SpecError(f"System {name} setting must change a part of something that has parts, not of {shown(folder)}")
        place[folder] = dict(place[folder])
        kind, place = known[folder], place[folder]
    known = _known(kind, place)
    if last not in known or last == "name":
        fitting = nearest(last, [key for key in known if key != "name"])
        raise SpecError(f"System {name} setting must be {fitting}, not {shown(last)}")
    is_sourced = _is_sourced(place.get(last), known[last])
    place[last] = {"value": value, "kind": "assumed", "source": "set by the user"} if is_sourced else value


def _is_sourced(value: object, kind: Any) -> bool:
    """Return whether a value has a source, by itself or by its type."""
    return (isinstance(value, dict) and "source" in value) or typing.get_origin(kind) is Sourced


def _known(kind: Any, place: Mapping[str, object]) -> dict[str, Any]:
    """Return what a place may hold, by name, with its type."""
    held: dict[str, Any] = dict.fromkeys(place)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        held |= {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return held
