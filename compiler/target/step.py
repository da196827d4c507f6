"""The steps of a schedule: instructions without their dependencies, and what they touch, and the scalar registers."""

import dataclasses
from typing import Self

from hwsim.arch.fields import Instruction
from hwsim.arch.isa import Function, Load, Scalar, Space

__all__ = [
    "BLOCKS",
    "CACHE",
    "KEY_BEATS",
    "LOAD_LIMIT",
    "PARAMETERS",
    "SCORE_WORDS",
    "SCRATCH",
    "VALUE_BEATS",
    "WEIGHTS",
    "Step",
    "add",
    "loads",
    "scalar",
    "token_registers",
]

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

    instruction: Instruction = dataclasses.field(kw_only=False)
    node: str = dataclasses.field(kw_only=False)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    awaits: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()
    consumes: int = 0

    def with_tokens(self, wait: int, signal: int) -> Self:
        """Return the step with other masks of its instruction, many times faster than `dataclasses.replace`."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, instruction=self.instruction.with_tokens(wait, signal))
        return made


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
        steps.append(Step(load, node, writes=writes))
    return steps


WEIGHTS, CACHE, PARAMETERS = 3, 4, 5
"""First beat of the layer's weights, first beat of its caches, first side unit of its parameters."""
BLOCKS, KEY_BEATS, VALUE_BEATS, SCORE_WORDS = 6, 7, 8, 9
"""Extent of the valid ring: row blocks, beats of keys, beats of values, score words."""
_TOKEN = 10
SCRATCH = 15
"""Free where no token of odd index is in flight."""


def token_registers(position: int) -> tuple[int, int, int]:
    """Return the registers of (slot, valid sinks, valid ring entries) of a position of the run: two sets in turn."""
    first = _TOKEN + 3 * (position % 2)
    return first, first + 1, first + 2


def scalar(function: Function, target: int, a: int, immediate: int = 0, b: int = 0, limit: int = 0) -> Step:
    """Return the step R[target] = function(R[a], R[b] + immediate)."""
    word = Scalar(function=function, target=target, immediate=immediate, limit=limit, registers=(a, b, 0))
    return Step(word, "position")


def add(target: int, a: int, immediate: int) -> Step:
    """Return the step R[target] = R[a] + immediate."""
    return scalar(Function.ADD, target, a, immediate)
