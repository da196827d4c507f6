"""Knows published systems with their power, as activities: what an estimate is held against."""

from __future__ import annotations

import dataclasses
from importlib import resources
from importlib.resources.abc import Traversable

from hwsim.errors import SpecError
from hwsim.machine.energy.constants import constant_of, read_mapping
from hwsim.machine.energy.estimate import Activity
from hwsim.sourced import Sourced

__all__ = ["SCOPES", "PublishedSystem", "load_systems", "system_of"]

SCOPES = ("card", "chip")
"""What a published power covers."""

_FACTS = {
    "memory_bits": ("memory_bytes_per_token",),
    "ram_accesses": ("rams", "busy"),
    "multiplier_operations": ("multiplications_per_token", "multiplications_per_operation"),
    "logic_cycles": ("luts", "busy"),
    "register_cycles": ("registers",),
}
"""The facts that each count of an activity follows from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedSystem:
    """One published operating point of decode.

    Attributes:
        name: what papers call it.
        scope: what `watts` covers: the card or the chip.
        token_per_s, watts, clock_hz: as published.
        memory_bytes_per_token: bytes read from memory.
        multiplications_per_token, multiplications_per_operation: products, and products of one DSP operation.
        luts, registers, rams: size of the circuit; memories of 72 bits a port.
        busy: share of the cycles in which logic and memories work.
    """

    name: str
    scope: str
    token_per_s: Sourced[float]
    watts: Sourced[float]
    clock_hz: Sourced[float]
    memory_bytes_per_token: Sourced[float]
    multiplications_per_token: Sourced[float]
    multiplications_per_operation: Sourced[float]
    luts: Sourced[float]
    registers: Sourced[float]
    rams: Sourced[float]
    busy: Sourced[float]

    @property
    def activity(self) -> Activity:
        """What one token does."""
        seconds = 1 / self.token_per_s.value
        cycles = seconds * self.clock_hz.value
        return Activity(
            seconds=seconds,
            memory_bits=8 * self.memory_bytes_per_token.value,
            ram_accesses=self.rams.value * cycles * self.busy.value,
            multiplier_operations=self.multiplications_per_token.value / self.multiplications_per_operation.value,
            logic_cycles=self.luts.value * cycles * self.busy.value,
            register_cycles=self.registers.value * cycles,
            assumed=frozenset(
                count for count, facts in _FACTS.items() if any(getattr(self, fact).is_assumed for fact in facts)
            ),
        )

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the facts that are assumed."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return tuple(name for name, value in values.items() if isinstance(value, Sourced) and value.is_assumed)


def load_systems() -> tuple[PublishedSystem, ...]:
    """Return every published system with its power; raise SpecError for a number without a source."""
    folder = resources.files("hwsim.specs") / "systems"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return tuple(system_of(file) for file in files)


def system_of(file: Traversable) -> PublishedSystem:
    """Return the system in a file; raise SpecError."""
    names = [field.name for field in dataclasses.fields(PublishedSystem)]
    document = read_mapping(file, tuple(names))
    if document["scope"] not in SCOPES:
        raise SpecError(f"Scope of {file.name} must be one of {', '.join(SCOPES)}, not {document['scope']!r}")
    facts = {name: constant_of(file.name, name, document[name]) for name in names if name not in ("name", "scope")}
    return PublishedSystem(name=str(document["name"]), scope=document["scope"], **facts)
