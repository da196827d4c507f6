"""Which steps of a linked schedule may overlap though they touch the same region: the oracle of the order that tokens make."""

from collections.abc import Sequence

from compiler.target.step import Step
from hwsim.arch.fields import Unit

__all__ = ["unordered"]


def unordered(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return pairs of steps on different units that touch the same region, one of them writing, and may overlap.

    What is known at a step's issue and at its retirement, as bits of the steps that have retired: issue is in order in a
    unit, as is retirement; a token comes from a step that has retired; a product has used up its streams when the next one issues.
    A step that waits for a token that no step before it gives is paired with itself.
    """
    at_issue, at_release, at_retirement = ([0] * len(steps) for _ in range(3))
    previous: dict[Unit, int] = {}
    tokens: dict[tuple[Unit, Unit], list[int]] = {}
    fetched: list[int] = []
    found = []
    for index, step in enumerate(steps):
        unit = type(step.instruction).unit
        if unit is None:
            continue
        if unit in previous:
            at_issue[index] |= at_release[previous[unit]]
            at_retirement[index] |= at_retirement[previous[unit]]
        for other in Unit:
            if step.instruction.wait >> other & 1:
                if tokens.get((other, unit)):
                    at_issue[index] |= at_retirement[tokens[other, unit].pop(0)]
                else:
                    found.append((index, index))
        at_release[index] = at_issue[index]
        for _ in range(step.consumes):
            at_release[index] |= at_retirement[fetched.pop(0)]
        at_retirement[index] |= at_release[index] | 1 << index
        for other in Unit:
            if step.instruction.signal >> other & 1:
                tokens.setdefault((unit, other), []).append(index)
        if unit is Unit.FETCH:
            fetched.append(index)
        previous[unit] = index
    for late, second in enumerate(steps):
        for early, first in enumerate(steps[:late]):
            reads = {*second.reads, *second.awaits, *second.writes}
            is_conflict = reads & {*first.writes} or {*second.writes} & {*first.reads, *first.frees}
            if is_conflict and type(first.instruction).unit != type(second.instruction).unit and not at_issue[late] >> early & 1:
                found.append((early, late))
    return found
