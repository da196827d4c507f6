"""Specs as files: the shipped ones by name, a user's own by path, and the fields a mapping of one must have."""

from __future__ import annotations

import dataclasses
import difflib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from hwsim.errors import LamforgeError

__all__ = ["SpecFiles", "field_names", "read_spec"]


@dataclasses.dataclass(frozen=True)
class SpecFiles:
    """The files of one kind of spec.

    Attributes:
        subject: what a message calls the spec, such as `Engine`.
        folder: of hwsim/specs, with the shipped ones.
        error: what a wrong name or file raises.
    """

    subject: str
    folder: str
    error: type[LamforgeError]

    def names(self) -> list[str]:
        """Return the names of the shipped ones."""
        entries = (resources.files("hwsim.specs") / self.folder).iterdir()
        return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))

    def read(self, name: str) -> object:
        """Return what is in a shipped file by name, or in a YAML file by path."""
        if name.endswith((".yaml", ".yml")):
            return read_spec(self.subject, Path(name), name, self.error)
        names = self.names()
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, 0.0)[0]
            raise self.error(f"{self.subject} must be one of {', '.join(names)} or a YAML file, not {name!r} (nearest: {near})")
        return read_spec(self.subject, resources.files("hwsim.specs") / self.folder / f"{name}.yaml", name, self.error)


def read_spec(subject: str, file: Traversable, name: str, error: type[LamforgeError]) -> object:
    """Return what is in a YAML file that a message calls `name`; raise `error` when it cannot be read."""
    try:
        return yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{subject} file must be readable, not {name!r} ({cause})") from None
    except yaml.YAMLError:
        raise error(f"{subject} file must be YAML, not the text of {name!r}") from None


def field_names(kind: type, data: object, where: str, error: type[LamforgeError]) -> list[str]:
    """Return the fields of a dataclass that a mapping has.

    Raises:
        error: `data` is no mapping, has a field that is not the class's, or lacks one that has no default.
    """
    if not isinstance(data, dict):
        raise error(f"{where} must be a mapping of fields, not {data!r}")
    fields = dataclasses.fields(kind)
    names = [field.name for field in fields]
    for key in data:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1, 0.0)[0]
            raise error(f"{where} field must be one of its own such as {near!r}, not {key!r}")
    for field in fields:
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if field.name not in data and not has_default:
            raise error(f"{where} must have the field {field.name!r}")
    return [name for name in names if name in data]
