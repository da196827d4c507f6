"""From linked sections to a Program: the layer loop, the end, words and symbols."""

from __future__ import annotations

from compiler.schedule.dependencies import link
from compiler.schedule.memory_map import SIDE_UNIT
from compiler.schedule.order import epilogue, layer_body, layers, prologue
from compiler.schedule.plan import Plan
from compiler.schedule.step import Step
from hwsim.arch.digest import isa_digest
from hwsim.arch.isa import End, Loop
from hwsim.arch.program import Program
from hwsim.errors import ScheduleError

__all__ = ["emit_program"]


def emit_program(plan: Plan, *, name: str, head: bool, max_position: int, weights: str) -> Program:
    """Return the program of a plan, with or without the head; raise ScheduleError when it does not fit the program memory."""
    sections = link([prologue(plan), layer_body(plan), epilogue(plan) if head else []])
    loop = Step(instruction=Loop(count=layers(plan), length=len(sections[1])), node="layers")
    steps = [*sections[0], loop, *sections[1], *sections[2], Step(instruction=End(), node="end")]
    limit = plan.engine.control.program_words
    if len(steps) > limit:
        raise ScheduleError(
            f"Program {name} must fit {limit} instructions of {plan.engine.name}, not {len(steps)} ({len(steps) - limit} too many)"
        )
    attention = plan.attention
    return Program(
        name=name,
        words=tuple(step.instruction.encode() for step in steps),
        symbols=tuple(step.node for step in steps),
        buffers=plan.memory.buffers,
        rows=plan.tokens,
        sequences=plan.sequences,
        caches=plan.memory.sequences,
        input_row_bytes=plan.memory.input_row * SIDE_UNIT,
        sinks=attention.sinks,
        window=attention.window,
        ring_start=plan.memory.cache.ring_start,
        max_position=max_position,
        isa=isa_digest(),
        engine=plan.engine.digest,
        weights=weights,
    )
