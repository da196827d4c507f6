"""Published systems with their power, as activities: what an estimate is held against."""

import dataclasses
from typing import Annotated

from hwsim.errors import SpecError
from hwsim.machine.energy.estimate import Activity
from hwsim.reader import Limits, OneOf, SpecFiles, read
from hwsim.sourced import Sourced, facts_of

__all__ = ["SCOPES", "PublishedSystem", "load_system", "load_systems"]

SCOPES = ("card", "chip")
"""What a published power covers."""

_Positive = Annotated[float, Limits(above=0)]
_FILES = SpecFiles("Published system", "systems", SpecError)
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
    """One published operating point of decode."""

    name: str
    """What papers call it."""
    scope: Annotated[str, OneOf(SCOPES)]
    """What `watts` covers: the card or the chip."""
    token_per_s: Sourced[_Positive]
    """Published tokens per second."""
    watts: Sourced[_Positive]
    """Published power."""
    clock_hz: Sourced[_Positive]
    """Published clock frequency."""
    memory_bytes_per_token: Sourced[float]
    """Bytes read from memory for a token."""
    multiplications_per_token: Sourced[float]
    """Products for a token."""
    multiplications_per_operation: Sourced[_Positive]
    """Products of one operation of a DSP block."""
    luts: Sourced[float]
    """Look-up tables of the circuit."""
    registers: Sourced[float]
    """Registers of the circuit."""
    rams: Sourced[float]
    """On-chip memories of 72 bits a port."""
    busy: Sourced[Annotated[float, Limits(0, 1)]]
    """Share of the cycles in which logic and memories work."""

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
            assumed=frozenset(count for count, facts in _FACTS.items() if any(getattr(self, fact).is_assumed for fact in facts)),
        )

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the facts that are assumed."""
        return tuple(name for name, fact in facts_of(self).items() if fact.is_assumed)


def load_systems() -> tuple[PublishedSystem, ...]:
    """Return every published system with its power; raise SpecError for a number without a source."""
    return tuple(map(load_system, _FILES.names()))


def load_system(name: str) -> PublishedSystem:
    """Return a shipped system by name, or the one in a YAML file by path; raise SpecError."""
    return read(PublishedSystem, _FILES.read(name), "Published system", SpecError)
