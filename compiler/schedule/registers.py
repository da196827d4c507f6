"""Scalar registers of a program, and the scalar steps that derive a token's slot and counts from the position."""

from __future__ import annotations

from compiler.schedule.plan import Plan
from compiler.schedule.step import Step
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, Function, Scalar
from hwsim.arch.program import SLOT_BITS

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
    "first_cache",
    "ring_extent",
    "scalar",
    "token_registers",
    "token_values",
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


def token_values(plan: Plan, token: int) -> list[Step]:
    """Return the steps that set the registers of a position of the run, from the first and, for later ones, the slot before."""
    attention, cache = plan.attention, plan.memory.cache
    slot, sinks, ring = token_registers(token)
    steps = [add(sinks, REGISTER_POSITION, token + 1)]
    if token == 0:
        steps.append(add(slot, REGISTER_SLOT, 0))
    else:
        steps.append(add(slot, token_registers(token - 1)[0], 1))
        if attention.sinks:
            steps.append(scalar(Function.WRAP, slot, slot, cache.ring_start, limit=attention.sinks))
        steps.append(scalar(Function.WRAP, slot, slot, cache.ring_start, limit=cache.ring_start + attention.window))
    steps.append(scalar(Function.SUB, ring, sinks, attention.sinks))
    steps.append(scalar(Function.MAX, ring, ring, 0))
    steps.append(scalar(Function.MIN, ring, ring, attention.window))
    steps.append(scalar(Function.MIN, sinks, sinks, attention.sinks))
    return steps


def first_cache(plan: Plan) -> list[Step]:
    """Return the steps that set the first layer's caches and leave the slot without the sequence it came with.

    Rows of one sequence come with its number above the slot's bits; with only one sequence there is nothing to do.
    """
    memory = plan.memory
    if memory.sequences == 1 or plan.sequences > 1:
        return [add(CACHE, 0, 0)]
    return [
        scalar(Function.SHR, SCRATCH, REGISTER_SLOT, SLOT_BITS),
        scalar(Function.MUL, CACHE, SCRATCH, memory.sequence_beats),
        scalar(Function.MUL, SCRATCH, SCRATCH, 1 << SLOT_BITS),
        scalar(Function.SUB, REGISTER_SLOT, REGISTER_SLOT, 0, b=SCRATCH),
    ]


def ring_extent(plan: Plan) -> list[Step]:
    """Return the steps that set the extent of the ring for the run's last position."""
    attention, cache, slices = plan.attention, plan.memory.cache, plan.engine.tile.slices
    align = max(slices, plan.lanes)
    return [
        add(BLOCKS, REGISTER_POSITION, plan.positions - attention.sinks),
        scalar(Function.MAX, BLOCKS, BLOCKS, 0),
        scalar(Function.MIN, BLOCKS, BLOCKS, attention.window),
        add(BLOCKS, BLOCKS, align - 1),
        scalar(Function.SHR, BLOCKS, BLOCKS, align.bit_length() - 1),
        scalar(Function.MUL, SCORE_WORDS, BLOCKS, align // plan.lanes),
        scalar(Function.MUL, VALUE_BEATS, BLOCKS, align * cache.words // slices),
        scalar(Function.MUL, BLOCKS, BLOCKS, align // slices),
        scalar(Function.MUL, KEY_BEATS, BLOCKS, cache.words),
        add(SCRATCH, BLOCKS, 1),
        scalar(Function.SHR, SCRATCH, SCRATCH, 1),
        scalar(Function.ADD, KEY_BEATS, KEY_BEATS, 0, b=SCRATCH),
    ]
