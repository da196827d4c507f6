"""From linked sections to a Program: the layer loop, the end, words and symbols."""

from __future__ import annotations

from compiler.graph import LAYERS
from compiler.schedule.dependencies import link
from compiler.schedule.order import epilogue, layer_body, prologue
from compiler.schedule.placement import Placement
from compiler.target.memory_map import SIDE_UNIT
from compiler.target.step import Step
from hwsim.arch.isa import End, Loop, isa_digest
from hwsim.arch.program import Program
from hwsim.errors import ScheduleError

__all__ = ["emit_program"]


def emit_program(placement: Placement, *, name: str, head: bool, max_position: int, weights: str) -> Program:
    """Return the program of placed nodes, with or without the head; raise ScheduleError when it does not fit the program memory."""
    sections = link([prologue(placement), layer_body(placement), epilogue(placement) if head else []])
    loop = Step(instruction=Loop(count=placement.layers, length=len(sections[1])), node=LAYERS)
    steps = [*sections[0], loop, *sections[1], *sections[2], Step(instruction=End(), node="end")]
    run, memory, cache = placement.run, placement.run.memory, placement.run.memory.cache
    limit = run.engine.control.program_words
    if len(steps) > limit:
        raise ScheduleError(
            f"Program {name} must fit {limit} instructions of {run.engine.name}, not {len(steps)} ({len(steps) - limit} too many)"
        )
    return Program(
        name=name,
        words=tuple(step.instruction.encode() for step in steps),
        symbols=tuple(step.node for step in steps),
        buffers=memory.buffers,
        rows=run.tokens,
        sequences=run.sequences,
        caches=memory.sequences,
        input_row_bytes=memory.row_units["input"] * SIDE_UNIT,
        sinks=cache.sinks,
        window=cache.window,
        ring_start=cache.ring_start,
        max_position=max_position,
        isa=isa_digest(),
        engine=run.engine.digest,
        weights=weights,
    )
