"""What every bought device has, and how the devices of a family are found and read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from hwsim.errors import LamforgeError, SpecError
from hwsim.offload.changes import as_changed
from hwsim.offload.pcie import PcieLink
from hwsim.reader import Limits, SpecFiles, read
from hwsim.sourced import Sourced, facts_of
from hwsim.units import Dollars

__all__ = ["SHARE", "Device", "Family", "assumed"]

SHARE = Limits(above=0, most=1)
"""Mark of a part of one."""

Kept = TypeVar("Kept")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """A device; a number that nobody stated is None.

    Attributes:
        subject: what a message calls such a device, such as `GPU`.
        folder: of hwsim/specs/devices, with those that ship.
        references: fields that name other files.
    """

    subject: ClassVar[str]
    folder: ClassVar[str]
    references: ClassVar[tuple[str, ...]] = ()

    name: str
    """Name of the YAML file that the device was loaded from."""
    title: str
    """Name of the device as people write it."""
    price: Sourced[Dollars] | None = None
    """Price of one."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: Callable[[Any], Any]) -> Any:
        """Let files of systems name a device instead of describing it."""
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: object, inner: Callable[[object], object]) -> object:
            try:
                family = Family(cls)
                return family.load(value) if isinstance(value, str) else inner(family.fields(value))
            except LamforgeError as refusal:
                raise PydanticCustomError("refused", "{sentence}", {"sentence": str(refusal)}) from None

        schema = handler(source)
        either = core_schema.union_schema([core_schema.str_schema(), schema])
        told = {"says": f"a {cls.subject} by name, or a mapping of its fields", "is_whole": True}
        return core_schema.no_info_wrap_validator_function(check, schema, json_schema_input_schema=either, metadata=told)

    @property
    def facts(self) -> dict[str, Sourced[Any]]:
        """Every number there is, by field, in the order of the fields; the price comes last."""
        return dict(sorted(facts_of(self).items(), key=lambda fact: fact[0] == "price"))

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

    def require(self, is_right: bool, field: str, constraint: str, value: object) -> None:
        """Raise SpecError unless something holds of a field."""
        if not is_right:
            raise SpecError(f"{self.subject} {self.name} {field} must be {constraint}, not {value}")

    def require_rates_of(self, link: Sourced[PcieLink] | None, *fields: str) -> None:
        """Raise SpecError for a rate above the raw rate of the link that it goes over."""
        for field in fields:
            fact = getattr(self, field)
            if link is not None and fact is not None:
                constraint, value = f"at most the raw rate of {link.value}", f"{fact.value.to('GB/s'):g} GB/s"
                self.require(fact.value <= link.value.raw_rate, field, constraint, value)


def assumed(value: Kept, reason: str) -> Any:
    """Return the default of a field that nobody stated, as a dataclass field."""
    return dataclasses.field(default_factory=lambda: Sourced(value=value, kind="assumed", source=reason))


Kind = TypeVar("Kind", bound=Device)


@dataclasses.dataclass(frozen=True)
class Family(Generic[Kind]):
    """Devices of one type, each a file of `hwsim/specs/devices`."""

    kind: type[Kind]

    @property
    def subject(self) -> str:
        """What a message calls one, such as `GPU`."""
        return self.kind.subject

    @property
    def folder(self) -> str:
        """Folder of hwsim/specs/devices with those that ship."""
        return self.kind.folder

    @property
    def _files(self) -> SpecFiles:
        return SpecFiles(self.subject, f"devices/{self.folder}", SpecError, references=self.kind.references)

    def names(self) -> list[str]:
        """Return the names of the shipped ones."""
        return self._files.names()

    def load(self, name: str) -> Kind:
        """Return a shipped device by name, or the one in a YAML file by path.

        Raises:
            SpecError: there is none of the name, a field is unknown or missing, or a number has no source or is impossible.
        """
        device = read(self.kind, self._files.fields(name), f"{self.subject} {Path(name).stem[:100]}", SpecError)
        return as_changed(device, device.name, device.facts)

    def fields(self, given: object) -> Any:
        """Return the fields of one that is given by name, or described inside another file; what is neither is left as it is."""
        if isinstance(given, str):
            return self._files.fields(given)
        return self._files.extended(given, "of a system") if isinstance(given, dict) else given

    def all(self) -> tuple[Kind, ...]:
        """Return every shipped device, by name."""
        return tuple(map(self.load, self.names()))
