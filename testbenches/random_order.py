"""The order of instructions in a random program: where two share something, tokens make the later one wait."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import Loop

__all__ = ["Order", "Use"]


@dataclasses.dataclass(frozen=True)
class Use:
    """Words first .. end - 1 of a memory (or a shared port) that an instruction reads or writes."""

    memory: str
    first: int
    end: int
    is_written: bool

    def collides(self, other: Self) -> bool:
        """Return whether the order of the two matters."""
        return (
            self.memory == other.memory
            and (self.is_written or other.is_written)
            and self.first < other.end
            and other.first < self.end
        )


@dataclasses.dataclass(kw_only=True)
class _Item:
    kind: type[Instruction]
    fields: dict[str, int]
    registers: tuple[int, ...]
    wait: int = 0
    signal: int = 0

    def encode(self) -> int:
        create: Any = self.kind
        return int(create(**self.fields, registers=self.registers, wait=self.wait, signal=self.signal).encode())


class Order:
    """Collects instructions in program order.

    The n-th signal of a unit to another answers the other's n-th wait, so for each pair of units the awaited
    instructions must follow in order: a wait is only added for an instruction later than those already waited for.
    """

    def __init__(
        self, rng: np.random.Generator, fifo_beats: int, pass_on: Callable[[Unit], tuple[type[Instruction], dict[str, int]]]
    ):
        self.rng, self.fifo_beats, self.pass_on = rng, fifo_beats, pass_on
        self.waiting_beats = 0
        self.last = [-1] * len(Unit)
        self.items: list[Any] = []
        self.seen = [[-1] * len(Unit) for _ in Unit]
        self.uses: list[tuple[int, Unit, Use]] = []

    def add(self, kind: type[Instruction], fields: dict[str, int], registers: tuple[int, ...], uses: list[Use]) -> None:
        """Add a unit instruction that waits for every earlier one it collides with."""
        unit = Unit(kind.unit or 0)
        if unit is Unit.MATRIX and self._meets_itself(uses):
            # Matrix results are still on their way when its next instruction starts: go round through another unit.
            relay = self._append(*self.pass_on(Unit.VECTOR))
            last = max(index for index, other, _ in self.uses if other is Unit.MATRIX)
            self._after(last, Unit.MATRIX, relay, Unit.VECTOR)
            own = self._append(kind, fields, registers)
            self._after(relay, Unit.VECTOR, own, Unit.MATRIX)
        else:
            own = self._append(kind, fields, registers)
        needed: dict[Unit, int] = {}
        for index, other, earlier in self.uses:
            if other is not unit and any(use.collides(earlier) for use in uses):
                needed[other] = max(index, needed.get(other, -1))
        self._needless(needed, unit)
        for other, index in needed.items():
            self._after(index, other, own, unit)
        self.uses += [(own, unit, use) for use in uses]

    def control(self, instruction: Instruction) -> None:
        """Add an instruction of control."""
        self.items.append(instruction)

    def drained(self) -> None:
        """Note that all beats fetched so far have consumers; else one may wait only for fetches the FIFOs can hold."""
        self.waiting_beats = 0

    def barrier(self) -> None:
        """Make everything after wait for everything before; all fetched beats must have consumers."""
        others = (Unit.FETCH, Unit.MATRIX, Unit.MOVER)
        arrived = [(self._append(*self.pass_on(unit)), unit) for unit in others]
        hub = self._append(*self.pass_on(Unit.VECTOR))
        for index, unit in arrived:
            self._after(index, unit, hub, Unit.VECTOR)
        for unit in others:
            self._after(hub, Unit.VECTOR, self._append(*self.pass_on(unit)), unit)
        self.uses.clear()
        self.seen = [[len(self.items) - 1] * len(Unit) for _ in Unit]

    def open_loop(self) -> int:
        """Start a loop's body, right after a barrier and scalars, and return its place."""
        self.items.append(None)
        return len(self.items) - 1

    def close_loop(self, start: int, count: int) -> None:
        """End the body, which ends with a barrier and scalars."""
        self.items[start] = Loop(count=count, length=len(self.items) - 1 - start)

    def _append(self, kind: type[Instruction], fields: dict[str, int], registers: tuple[int, ...] = (0, 0, 0)) -> int:
        self.items.append(_Item(kind=kind, fields=fields, registers=registers))
        unit = Unit(kind.unit or 0)
        self.last[unit] = len(self.items) - 1
        if unit is Unit.FETCH:
            # A register may bring any number of beats.
            self.waiting_beats += self.fifo_beats + 1 if any(registers) else fields["beats"]
        return len(self.items) - 1

    def _after(self, first: int, producer: Unit, second: int, consumer: Unit) -> None:
        if first > self.seen[producer][consumer]:
            self.items[first].signal |= 1 << consumer
            self.items[second].wait |= 1 << producer
            self.seen[producer][consumer] = first

    def _needless(self, needed: dict[Unit, int], unit: Unit) -> None:
        """Sometimes wait for an instruction that shares no resource."""
        for other in Unit:
            may_wait = other is not unit and (other is not Unit.FETCH or self.waiting_beats <= self.fifo_beats)
            if may_wait and self.last[other] >= 0 and self.rng.random() < 0.1:
                needed[other] = self.last[other]

    def _meets_itself(self, uses: list[Use]) -> bool:
        return any(
            other is Unit.MATRIX and use.memory == "X" and use.collides(earlier) for _, other, earlier in self.uses for use in uses
        )
