"""The energy of a simulated run: joules and watts by part of the card, token/J, and how much rests on assumed numbers."""

from __future__ import annotations

import dataclasses

from hwsim.arch.config import EngineConfig
from hwsim.machine.energy import Energy, activity_of, energy_board, estimate, load_constants
from hwsim.machine.time import Timeline
from hwsim.machine.trace import Trace

__all__ = ["RunEnergy", "run_energy"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnergy(Energy):
    """Joules by part that a run draws.

    Attributes:
        board: name of the board whose constants were taken.
        tokens: tokens that the run serves.
    """

    board: str
    tokens: int

    @property
    def token_per_joule(self) -> float:
        """Tokens for each joule of the card."""
        return self.tokens / self.card_j


def run_energy(trace: Trace, timeline: Timeline, engine: EngineConfig, *, tokens: int) -> RunEnergy:
    """Return the energy of a run that serves so many tokens, on the board that the engine is made for."""
    board = energy_board(engine).name
    constants = load_constants(board)
    found = estimate(activity_of(trace, timeline, engine, constants), constants)
    return RunEnergy(
        board=board, tokens=tokens, seconds=found.seconds, parts=found.parts, assumed_j=found.assumed_j
    )
