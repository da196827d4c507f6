"""The derived constants of systems and of their devices; the calibrated ones say which rows they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from hwsim.offload.devices import Device
from hwsim.offload.systems import names, system
from hwsim.sourced import Sourced
from hwsim.units import Quantity

__all__ = ["Constant", "derived_constants"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant:
    """A number that was not read anywhere.

    Attributes:
        name: `system.field` or `device.field`.
        value: with its unit.
        source: what it is derived from.
    """

    name: str
    value: str
    source: str


def derived_constants() -> tuple[Constant, ...]:
    """Return them for every shipped system, each once, in the order of the systems."""
    found: dict[str, Constant] = {}
    for name in names():
        each = system(name)
        for owner, facts in (*_devices(each), (name, each.constants)):
            for field, fact in facts.items():
                # Systems that extend one another share constants.
                is_known = any(old.source == fact.source and old.name.endswith(field) for old in found.values())
                if fact.kind == "derived" and not is_known:
                    found[f"{owner}.{field}"] = Constant(name=f"{owner}.{field}", value=_text(fact), source=fact.source)
    return tuple(found.values())


def _devices(owner: Any) -> Iterator[tuple[str, dict[str, Sourced[Any]]]]:
    values = (getattr(owner, field.name) for field in dataclasses.fields(owner))
    yield from ((value.name, value.facts) for value in values if isinstance(value, Device))


def _text(fact: Sourced[Any]) -> str:
    value = fact.value
    if isinstance(value, Quantity):
        return f"{float(value.value):.6g} {value.unit}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
