"""The scalar registers of a program, and the scalar steps that set them."""

from __future__ import annotations

from compiler.target.step import Step
from hwsim.arch.isa import Function, Scalar

__all__ = [
    "BLOCKS",
    "CACHE",
    "KEY_BEATS",
    "PARAMETERS",
    "SCORE_WORDS",
    "SCRATCH",
    "VALUE_BEATS",
    "WEIGHTS",
    "add",
    "scalar",
    "token_registers",
]

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
    return Step(instruction=word, node="position")


def add(target: int, a: int, immediate: int) -> Step:
    """Return the step R[target] = R[a] + immediate."""
    return scalar(Function.ADD, target, a, immediate)
