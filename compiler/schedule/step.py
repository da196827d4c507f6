"""One step of a schedule: an instruction without its dependencies, where it comes from, and what it touches."""

from __future__ import annotations

import dataclasses

from hwsim.arch.fields import Instruction

__all__ = ["Step"]


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
