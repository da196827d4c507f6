"""The steps of a schedule: instructions without their dependencies, where they come from, and what they touch."""

from __future__ import annotations

import dataclasses

from hwsim.arch.fields import Instruction
from hwsim.arch.isa import Load, Space

__all__ = ["LOAD_LIMIT", "Step", "loads"]

LOAD_LIMIT = 63 * 64
"""Side beats of one load, at most: its field ends there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """An instruction and the named regions it touches; two steps on different units conflict when a region is written.

    Attributes:
        node: graph node it serves.
        reads, writes: regions read and written until it retires.
        awaits: regions that must have been written before, but are free again without this step (a stream's source).
        frees: regions that must not be written until this step retires, though another step awaited them.
        consumes: number of fetch steps whose streams this matrix step uses up.
    """

    instruction: Instruction
    node: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()
    consumes: int = 0


def loads(
    space: Space, address: int, lanes: int, beats: int, offset: int, *, register: int = 0, node: str, writes: tuple[str, ...]
) -> list[Step]:
    """Return loads of `beats` side beats to words of `lanes` values, as many as it takes."""
    steps: list[Step] = []
    for first in range(0, beats, LOAD_LIMIT):
        load = Load(
            space=space,
            address=address + first * 4 // lanes,
            beats=min(LOAD_LIMIT, beats - first),
            offset=offset + first,
            registers=(register, 0, 0),
        )
        steps.append(Step(instruction=load, node=node, writes=writes))
    return steps
