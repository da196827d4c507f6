"""Systems as data: a file of `hwsim/specs/offload` says which composition, on which devices, with which numbers."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.offload.changes import as_changed
from hwsim.offload.devices.device import Family
from hwsim.offload.systems.flexgen import FlexGen
from hwsim.offload.systems.fpga import Fpga
from hwsim.offload.systems.gpu_only import GpuOnly
from hwsim.offload.systems.instinfer import DriveCache, InstInfer
from hwsim.offload.systems.shadowkv import ShadowKv
from hwsim.offload.systems.system import System, alone, device_fields
from hwsim.offload.systems.triforce import TriForce
from hwsim.offload.systems.zero import ZeroInference
from hwsim.reader import SpecFiles, read
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

_FILES = SpecFiles(
    "System", "offload", SpecError, references=tuple({name for kind in METHODS.values() for name in device_fields(kind)})
)


def names() -> list[str]:
    """Return the names of the shipped systems."""
    return _FILES.names()


def system(name: str, settings: Mapping[str, object] | None = None) -> System:
    """Return a shipped system by name, or the one in a YAML file by path, with values changed.

    settings: by path, such as `{"csds": 2, "gpu": "a100-sxm-80"}`; a number that has a source keeps its unit: `"2 GB/s"`.

    Raises:
        SpecError: there is none of the name, a field or device is unknown, or a value is impossible.
    """
    fields = _FILES.fields(name)
    for path, value in (settings or {}).items():
        _change(fields, path, value, name)
    method = fields.pop("method", None)
    if not isinstance(method, str) or method not in METHODS:
        raise SpecError(f"System {name} method must be {nearest(str(method), METHODS)}, not {shown(method)}")
    found = read(METHODS[method], fields, f"System {name}", SpecError)
    for owner in (method, name):
        found = as_changed(found, owner, found.constants)
    return found


def _change(fields: dict[str, Any], path: str, value: object, name: str) -> None:
    """Change a value of a system's file, or of one that it may have, at a path."""
    *folders, last = path.split(".")
    kind: Any = METHODS.get(str(fields.get("method")))
    place = fields
    for folder in folders:
        known = _known(kind, place)
        if folder not in known:
            raise SpecError(f"System {name} setting must be {nearest(folder, known)}, not {shown(folder)}")
        inside, kind = place.get(folder), alone(known[folder])
        if inside is not None and folder in _FILES.references:
            inside = Family(kind).fields(inside)
        if not isinstance(inside, dict) or _is_sourced(inside, kind):
            raise SpecError(f"System {name} setting must change a part of something that has parts, not of {shown(folder)}")
        place[folder] = place = dict(inside)
    known = _known(kind, place)
    if last not in known or last == "name":
        near = nearest(last, [key for key in known if key != "name"])
        raise SpecError(f"System {name} setting must be {near}, not {shown(last)}")
    is_sourced = _is_sourced(place.get(last), known[last])
    place[last] = {"value": value, "kind": "assumed", "source": "set by the user"} if is_sourced else value


def _is_sourced(value: object, kind: Any) -> bool:
    """Return whether a value has a source, by itself or by its type."""
    return (isinstance(value, dict) and "source" in value) or typing.get_origin(alone(kind)) is Sourced


def _known(kind: Any, place: Mapping[str, object]) -> dict[str, Any]:
    """Return what a place may hold, by name, with its type."""
    held: dict[str, Any] = dict.fromkeys(place)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        held |= {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return held
