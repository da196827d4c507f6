"""What every bought device has, and how the devices of a family are found and read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from hwsim.arch.spec_files import SpecFiles
from hwsim.arch.spec_objects import spec_object
from hwsim.errors import SpecError
from hwsim.sourced import Sourced
from hwsim.units import Dollars

__all__ = ["Device", "Family", "assumed", "refuse_unless"]


Kept = TypeVar("Kept")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """A device; a number that nobody stated is None."""

    name: str
    """Name of the YAML file that it was loaded from."""
    title: str
    """Its name as people write it."""
    price: Sourced[Dollars] | None = None
    """Of one."""

    @property
    def facts(self) -> dict[str, Sourced[Any]]:
        """Every number there is, by field, in the order of the fields; the price comes last."""
        names = sorted((field.name for field in dataclasses.fields(self)), key=lambda name: name == "price")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if isinstance(value, Sourced)}

    @property
    def assumed(self) -> tuple[str, ...]:
        """Fields whose number is assumed."""
        return tuple(name for name, fact in self.facts.items() if fact.is_assumed)

    def known(self, field: str) -> Any:
        """Return the value of a number that a model needs; raise SpecError where nobody stated it."""
        fact = getattr(self, field)
        if fact is None:
            raise SpecError(f"Device {self.name} must have {field}, which nobody stated: give it in a file of your own")
        return fact.value


def assumed(value: Kept, reason: str) -> Any:
    """Return the default of a field that nobody stated, as a dataclass field."""
    return dataclasses.field(default_factory=lambda: Sourced(value=value, kind="assumed", source=reason))


Kind = TypeVar("Kind", bound=Device)


@dataclasses.dataclass(frozen=True)
class Family(Generic[Kind]):
    """Devices of one type, each a file of `hwsim/specs/devices`.

    Attributes:
        subject: what a message calls one, such as `GPU`.
        folder: of hwsim/specs/devices.
        kind: the type.
    """

    subject: str
    folder: str
    kind: type[Kind]

    @property
    def _files(self) -> SpecFiles:
        return SpecFiles(self.subject, f"devices/{self.folder}", SpecError)

    def names(self) -> list[str]:
        """Return the names of the shipped ones."""
        return self._files.names()

    def load(self, name: str) -> Kind:
        """Return a shipped device by name, or the one in a YAML file by path.

        Raises:
            SpecError: there is none of the name, a field is unknown or missing, or a number has no source or is impossible.
        """
        return cast(Kind, spec_object(self.kind, self._files.read(name), f"{self.subject} {Path(name).stem}"))

    def all(self) -> tuple[Kind, ...]:
        """Return every shipped device, by name."""
        return tuple(map(self.load, self.names()))



def refuse_unless(is_right: bool, subject: str, constraint: str, value: object) -> None:
    """Raise SpecError unless something holds."""
    if not is_right:
        raise SpecError(f"{subject} must be {constraint}, not {value}")
