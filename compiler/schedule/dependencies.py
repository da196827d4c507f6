"""From regions to tokens: which step waits for which unit, and which step signals it; sections join at one barrier."""

import dataclasses
import functools
import operator

from compiler.target.step import Step
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, Format
from hwsim.errors import ScheduleError

__all__ = ["link"]

# A section begins when the last matrix step before it retired; by then everything before has retired (see _close).
_ENTRY = -1


@dataclasses.dataclass(kw_only=True)
class _Section:
    """Steps with their masks; `before` are the steps that have retired when a step has, by unit order, token or stream."""

    steps: list[Step]
    waits: list[int]
    signals: list[int]
    before: list[list[int]]
    entry: int = 0


def link(sections: list[list[Step]]) -> list[list[Step]]:
    """Return the sections with wait and signal masks set; all but the last section end in a matrix step as barrier.

    A section may be the body of a loop: it then follows itself as well as the section before it. Every section but the
    first starts with the same tokens from the matrix unit, so that any order of sections balances.
    Raises ScheduleError where a unit that the barrier signals has no step in a later section.
    """
    linked = [_tokens(steps, first=index == 0) for index, steps in enumerate(sections)]
    for section in linked[:-1]:
        _close(section)
    mask = functools.reduce(operator.or_, (section.entry for section in linked[1:]), 0)
    for index, section in enumerate(linked):
        if index > 0:
            _enter(section, mask)
        if index < len(linked) - 1:
            section.signals[-1] |= mask
    return [
        [step.with_tokens(wait, signal) for step, wait, signal in zip(section.steps, section.waits, section.signals, strict=True)]
        for section in linked
    ]


def _unit(step: Step) -> Unit | None:
    return type(step.instruction).unit


def _tokens(steps: list[Step], *, first: bool) -> _Section:
    """Link one section; without `first`, regions untouched so far conflict with the entry barrier."""
    count = len(steps)
    section = _Section(steps=list(steps), waits=[0] * count, signals=[0] * count, before=[[] for _ in steps])
    writers: dict[str, dict[Unit, int]] = {}
    readers: dict[str, dict[Unit, int]] = {}
    satisfied: dict[tuple[Unit, Unit], int] = {}
    after_entry: set[int] = set()
    previous: dict[Unit, int] = {}
    fetched: list[int] = []
    for index, step in enumerate(steps):
        unit = _unit(step)
        if unit is None:
            continue
        needed: dict[Unit, int] = {}
        touched = {*step.reads, *step.awaits, *step.writes, *step.frees}
        if not first and unit != Unit.MATRIX and touched - writers.keys() - readers.keys():
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
    return section


def _enter(section: _Section, mask: int) -> None:
    """Make every unit in `mask` take the entry token at its first step; a section without steps leaves the tokens."""
    for unit in Unit:
        if not section.steps or not mask >> unit & 1 or section.entry >> unit & 1:
            continue
        own = [index for index, step in enumerate(section.steps) if _unit(step) == unit]
        if not own:
            raise ScheduleError(f"Every section must have a step on unit {unit.name} to take the barrier's token")
        if section.waits[own[0]] >> Unit.MATRIX & 1:
            raise ScheduleError(f"The first step on unit {unit.name} must not wait for two tokens of the matrix unit")
        section.waits[own[0]] |= 1 << Unit.MATRIX
    section.entry = mask


def _close(section: _Section) -> None:
    """Append a barrier when the last matrix step does not imply that every step has retired."""
    last = {unit: index for index, step in enumerate(section.steps) if (unit := _unit(step)) is not None}
    retired: set[int] = set()
    frontier = [last[Unit.MATRIX]] if Unit.MATRIX in last else []
    while frontier:
        index = frontier.pop()
        if index not in retired:
            retired.add(index)
            frontier += section.before[index]
    late = {unit: index for unit, index in last.items() if unit != Unit.FETCH and index not in retired}
    if not late and section.steps and _unit(section.steps[-1]) == Unit.MATRIX:
        return
    barrier = Dot(format=Format.W4, rows=1, source=0, inner=1, blocks=0, scale=0, address=0)
    section.steps.append(Step(barrier, "barrier"))
    section.waits.append(0)
    section.signals.append(0)
    for unit, index in late.items():
        section.signals[index] |= 1 << Unit.MATRIX
        section.waits[-1] |= 1 << unit
