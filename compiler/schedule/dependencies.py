"""From regions to tokens: which step waits for which unit, and which step signals it; sections join at one barrier."""

import collections
import dataclasses
import functools
import itertools
import operator
from collections.abc import Sequence
from typing import NamedTuple

from compiler.target.step import Step
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, Format
from hwsim.errors import ScheduleError

__all__ = ["link"]

# A section begins when the last matrix step before it retired; by then everything before has retired (see _close).
_ENTRY = -1
_KEPT = 64
"""Schedules whose tokens are remembered. Those of a sweep differ in addresses and sizes, and rarely in who waits for whom."""


class _Touch(NamedTuple):
    """What the tokens of a step depend on: its unit (None: control itself), and its regions, as `Step` has them, by number."""

    unit: Unit | None
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    awaits: tuple[int, ...] = ()
    frees: tuple[int, ...] = ()
    consumes: int = 0


_Masks = tuple[tuple[int, int], ...]
"""Wait and signal mask of each step of a section."""


@dataclasses.dataclass(kw_only=True)
class _Section:
    """Steps with their masks; `before` are the steps that have retired when a step has, by unit order, token or stream."""

    steps: list[_Touch]
    waits: list[int]
    signals: list[int]
    before: list[list[int]]
    entry: int = 0


def link(sections: Sequence[Sequence[Step]]) -> list[list[Step]]:
    """Return the sections with wait and signal masks set; all but the last section end in a matrix step as barrier.

    A section may be the body of a loop: it then follows itself as well as the section before it. Every section but the
    first starts with the same tokens from the matrix unit, so that any order of sections balances.
    Raises ScheduleError where a unit that the barrier signals has no step in a later section.
    """
    linked = []
    for steps, masks in zip(sections, _masks(_touches(sections)), strict=True):
        barrier = Dot(format=Format.W4, rows=1, source=0, inner=1, blocks=0, scale=0, address=0)
        steps = [*steps, *([Step(barrier, "barrier")] if len(masks) > len(steps) else [])]
        linked.append([step.with_tokens(wait, signal) for step, (wait, signal) in zip(steps, masks, strict=True)])
    return linked


def _touches(sections: Sequence[Sequence[Step]]) -> tuple[tuple[_Touch, ...], ...]:
    """Return what the tokens depend on; regions are numbered in the order in which they come, whatever their names are."""
    numbers: dict[str, int] = collections.defaultdict(itertools.count().__next__)

    @functools.cache
    def numbered(regions: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(map(numbers.__getitem__, regions))

    return tuple(
        tuple(
            _Touch(
                type(step.instruction).unit,
                numbered(step.reads),
                numbered(step.writes),
                numbered(step.awaits),
                numbered(step.frees),
                step.consumes,
            )
            for step in steps
        )
        for steps in sections
    )


@functools.lru_cache(maxsize=_KEPT)
def _masks(sections: tuple[tuple[_Touch, ...], ...]) -> tuple[_Masks, ...]:
    """Return the masks of the steps of each section, and behind them those of its barrier where `_close` adds one."""
    linked = [_tokens(steps, first=index == 0) for index, steps in enumerate(sections)]
    for section in linked[:-1]:
        _close(section)
    mask = functools.reduce(operator.or_, (section.entry for section in linked[1:]), 0)
    for index, section in enumerate(linked):
        if index > 0:
            _enter(section, mask)
        if index < len(linked) - 1:
            section.signals[-1] |= mask
    return tuple(tuple(zip(section.waits, section.signals, strict=True)) for section in linked)


def _tokens(steps: Sequence[_Touch], *, first: bool) -> _Section:
    """Link one section; without `first`, regions untouched so far conflict with the entry barrier."""
    count = len(steps)
    section = _Section(steps=list(steps), waits=[0] * count, signals=[0] * count, before=[[] for _ in steps])
    writers: dict[int, dict[Unit, int]] = {}
    readers: dict[int, dict[Unit, int]] = {}
    satisfied: dict[tuple[Unit, Unit], int] = {}
    known: set[int] = set()
    after_entry: set[int] = set()
    previous: dict[Unit, int] = {}
    fetched: list[int] = []
    for index, step in enumerate(steps):
        unit = step.unit
        if unit is None:
            continue
        needed: dict[Unit, int] = {}
        touched = {*step.reads, *step.awaits, *step.writes, *step.frees}
        if not first and unit != Unit.MATRIX and not known.issuperset(touched):
            needed[Unit.MATRIX] = _ENTRY
        conflicts = [writers.get(region, {}) for region in (*step.reads, *step.awaits, *step.writes)]
        conflicts += [readers.get(region, {}) for region in step.writes]
        for found in conflicts:
            for other, when in found.items():
                if other != unit:
                    needed[other] = max(needed.get(other, when), when)
        implied = unit == Unit.MATRIX or previous.get(unit) in after_entry
        implied = implied or any(when in after_entry for when in needed.values())
        if implied and needed.get(Unit.MATRIX) == _ENTRY:
            del needed[Unit.MATRIX]
        if implied or needed.get(Unit.MATRIX) == _ENTRY:
            after_entry.add(index)
        if unit in previous:
            section.before[index].append(previous[unit])
        previous[unit] = index
        if unit == Unit.FETCH:
            fetched.append(index)
        for _ in range(step.consumes):
            section.before[index].append(fetched.pop(0))
        for other, when in needed.items():
            if (other, unit) in satisfied and when <= satisfied[other, unit]:
                continue
            satisfied[other, unit] = when
            section.waits[index] |= 1 << other
            if when == _ENTRY:
                section.entry |= 1 << unit
            else:
                section.signals[when] |= 1 << unit
                section.before[index].append(when)
        for region in (*step.reads, *step.frees):
            readers.setdefault(region, {})[unit] = index
        for region in step.writes:
            writers[region] = {unit: index}
            readers.pop(region, None)
        known.update(step.writes)
    return section


def _enter(section: _Section, mask: int) -> None:
    """Make every unit in `mask` take the entry token at its first step; a section without steps leaves the tokens."""
    for unit in Unit:
        if not section.steps or not mask >> unit & 1 or section.entry >> unit & 1:
            continue
        own = [index for index, step in enumerate(section.steps) if step.unit == unit]
        if not own:
            raise ScheduleError(f"Every section must have a step on unit {unit.name} to take the barrier's token")
        if section.waits[own[0]] >> Unit.MATRIX & 1:
            raise ScheduleError(f"The first step on unit {unit.name} must not wait for two tokens of the matrix unit")
        section.waits[own[0]] |= 1 << Unit.MATRIX
    section.entry = mask


def _close(section: _Section) -> None:
    """Append a barrier when the last matrix step does not imply that every step has retired."""
    last = {unit: index for index, step in enumerate(section.steps) if (unit := step.unit) is not None}
    retired: set[int] = set()
    frontier = [last[Unit.MATRIX]] if Unit.MATRIX in last else []
    while frontier:
        index = frontier.pop()
        if index not in retired:
            retired.add(index)
            frontier += section.before[index]
    late = {unit: index for unit, index in last.items() if unit != Unit.FETCH and index not in retired}
    if not late and section.steps and section.steps[-1].unit == Unit.MATRIX:
        return
    section.steps.append(_Touch(Unit.MATRIX))
    section.waits.append(0)
    section.signals.append(0)
    for unit, index in late.items():
        section.signals[index] |= 1 << Unit.MATRIX
        section.waits[-1] |= 1 << unit
