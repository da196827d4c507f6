"""Knows what a whole prompt costs: consecutive runs of the prefill program from position 0 on."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

from hwsim.arch.fields import Unit
from hwsim.errors import SpecError
from hwsim.memory.models import IDEAL, MemoryModel
from lamforge.flow.programs import Programs
from lamforge.flow.simulation import simulate_checked

__all__ = ["Prompt", "simulate_prompt"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """The runs of a prompt together: tokens, runs, cycles, and the matrix unit's cycles by cause."""

    model: str
    engine: str
    memory: str
    clock_hz: float
    tokens: int
    runs: int
    cycles: int
    causes: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {**dataclasses.asdict(self), "token_per_s": self.tokens * self.clock_hz / self.cycles}


def simulate_prompt(
    programs: Programs, tokens: int, *, memory: MemoryModel = IDEAL, progress: Callable[[float], None] | None = None
) -> Prompt:
    """Return what a prompt of `tokens` tokens costs, each run starting when the one before has ended.

    Raises:
        SpecError: the tokens are not whole runs.
        ProgramError: a word is bad, or the prompt is longer than the program's memory.
    """
    program, engine = programs.prefill, programs.engine
    rows = program.positions
    if tokens < 1 or tokens % rows:
        raise SpecError(f"Prompt must be a multiple of the {rows} tokens of a prefill run, not {tokens}")
    program.check(engine)
    cycles, causes = 0, collections.Counter[str]()
    for position in range(0, tokens, rows):
        run = simulate_checked(programs, program, position=position, memory=memory)
        cycles += run.timeline.cycles
        causes.update(run.causes(Unit.MATRIX))
        if progress is not None:
            progress((position + rows) / tokens)
    return Prompt(
        model=programs.model,
        engine=engine.name,
        memory=str(memory),
        clock_hz=engine.clock_hz,
        tokens=tokens,
        runs=tokens // rows,
        cycles=cycles,
        causes=dict(causes),
    )
