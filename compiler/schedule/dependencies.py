"""From regions to tokens: which step waits for which unit, and which step signals it; sections join at one barrier."""

from __future__ import annotations

import dataclasses

from compiler.target.step import Step
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, Fetch, Format
from hwsim.errors import ScheduleError

__all__ = ["link"]

# A section begins when the last matrix step before it retired; by then everything before has retired (see _close).
_ENTRY = -1


@dataclasses.dataclass
class _Section:
    steps: list[Step]
    waits: list[int]
    signals: list[int]
    entry: int = 0


def link(sections: list[list[Step]]) -> list[list[Step]]:
    """Return the sections with wait and signal masks set; all but the last section end in a matrix step as barrier.

    A section may be the body of a loop: it then follows itself as well as the section before it. Every section but the
    first starts with the same tokens from the matrix unit, so that any order of sections balances.

    Raises:
        ScheduleError: a unit that the barrier signals has no step in a later section.
    """
    linked = [_within(steps, first=index == 0, last=index == len(sections) - 1) for index, steps in enumerate(sections)]
    mask = 0
    for section in linked[1:]:
        mask |= section.entry
    for index, section in enumerate(linked):
        if index > 0:
            _enter(section, mask)
        if index < len(linked) - 1:
            section.signals[-1] |= mask
    return [
        [
            dataclasses.replace(step, instruction=dataclasses.replace(step.instruction, wait=wait, signal=signal))
            if wait or signal
            else step
            for step, wait, signal in zip(section.steps, section.waits, section.signals, strict=True)
        ]
        for section in linked
    ]


def _unit(step: Step) -> Unit | None:
    return type(step.instruction).unit


def _within(steps: list[Step], *, first: bool, last: bool) -> _Section:
    """Link one section; without `first`, regions untouched so far conflict with the entry barrier."""
    section = _Section(steps=list(steps), waits=[0] * len(steps), signals=[0] * len(steps))
    _tokens(section, first=first)
    if not last:
        _close(section)
    return section


def _tokens(section: _Section, *, first: bool) -> None:
    writers: dict[str, dict[Unit, int]] = {}
    readers: dict[str, dict[Unit, int]] = {}
    satisfied: dict[tuple[Unit, Unit], int] = {}
    after_entry: set[int] = set()
    previous: dict[Unit, int] = {}
    for index, step in enumerate(section.steps):
        unit = _unit(step)
        if unit is None:
            continue
        needed: dict[Unit, int] = {}
        touched = {*step.reads, *step.awaits, *step.writes, *step.frees}
        for region in touched:
            if not first and region not in writers and region not in readers and unit != Unit.MATRIX:
                needed.setdefault(Unit.MATRIX, _ENTRY)
        conflicts = [writers.get(region, {}) for region in (*step.reads, *step.awaits, *step.writes)]
        conflicts += [readers.get(region, {}) for region in step.writes]
        for found in conflicts:
            for other, when in found.items():
                if other != unit:
                    needed[other] = max(needed.get(other, _ENTRY - 1), when)
        implied = unit == Unit.MATRIX or previous.get(unit) in after_entry
        implied = implied or any(when in after_entry for when in needed.values())
        if implied and needed.get(Unit.MATRIX) == _ENTRY:
            del needed[Unit.MATRIX]
        if implied or needed.get(Unit.MATRIX) == _ENTRY:
            after_entry.add(index)
        previous[unit] = index
        for other, when in needed.items():
            if when <= satisfied.get((other, unit), _ENTRY - 1):
                continue
            satisfied[other, unit] = when
            section.waits[index] |= 1 << other
            if when == _ENTRY:
                section.entry |= 1 << unit
            else:
                section.signals[when] |= 1 << unit
        for region in (*step.reads, *step.frees):
            readers.setdefault(region, {})[unit] = index
        for region in step.writes:
            writers[region] = {unit: index}
            readers.pop(region, None)


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
    late = _not_implied(section)
    matrix_last = bool(section.steps) and _unit(section.steps[-1]) == Unit.MATRIX
    if matrix_last and not late:
        return
    barrier = Dot(format=Format.W4, rows=1, source=0, inner=1, blocks=0, scale=0, address=0)
    section.steps.append(Step(instruction=barrier, node="barrier"))
    section.waits.append(0)
    section.signals.append(0)
    for unit, index in late.items():
        section.signals[index] |= 1 << Unit.MATRIX
        section.waits[-1] |= 1 << unit


def _not_implied(section: _Section) -> dict[Unit, int]:
    """Return for each unit but FETCH its last step, where the section's last matrix step does not follow from it."""
    steps = section.steps
    last: dict[Unit, int] = {}
    for index, step in enumerate(steps):
        unit = _unit(step)
        if unit is not None:
            last[unit] = index
    if Unit.MATRIX not in last:
        return {unit: index for unit, index in last.items() if unit not in (Unit.FETCH, Unit.MATRIX)}
    reached = _ancestors(section, last[Unit.MATRIX])
    return {unit: index for unit, index in last.items() if unit not in (Unit.FETCH, Unit.MATRIX) and index not in reached}


def _ancestors(section: _Section, target: int) -> set[int]:
    """Return the steps that have retired when step `target` has, by unit order, tokens and streams."""
    before: dict[int, set[int]] = {}
    previous: dict[Unit, int] = {}
    queues: dict[tuple[Unit, Unit], list[int]] = {}
    fetched: list[int] = []
    for index, step in enumerate(section.steps):
        unit = _unit(step)
        if unit is None:
            continue
        before[index] = {previous[unit]} if unit in previous else set()
        previous[unit] = index
        if isinstance(step.instruction, Fetch):
            fetched.append(index)
        for _ in range(step.consumes):
            before[index].add(fetched.pop(0))
        for other in Unit:
            if section.waits[index] >> other & 1:
                queue = queues.get((other, unit), [])
                if queue:
                    before[index].add(queue.pop(0))
        for other in Unit:
            if section.signals[index] >> other & 1:
                queues.setdefault((unit, other), []).append(index)
    reached: set[int] = set()
    frontier = [target]
    while frontier:
        index = frontier.pop()
        if index not in reached:
            reached.add(index)
            frontier += before[index]
    return reached
