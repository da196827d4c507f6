"""What one program runs: so many rows of tokens, of one sequence or of several, on an engine with its memory laid out."""

from __future__ import annotations

import dataclasses

from compiler.target.memory_map import MemoryMap
from hwsim.arch.config import EngineConfig

__all__ = ["Run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The rows of one run and what they run on.

    Attributes:
        engine, memory: the engine, and where everything lies off chip.
        tokens: rows of one run.
        sequences: sequences the rows belong to: one, whose consecutive tokens they are, or one for each row.
        overlap: attention heads in flight: one is scored while the ones before are weighed and mixed.
        final_rows: rows that what follows the layers takes at once.
    """

    engine: EngineConfig
    memory: MemoryMap
    tokens: int
    sequences: int
    overlap: int
    final_rows: int

    @property
    def lanes(self) -> int:
        """Vector lanes of the engine."""
        return self.engine.vector.lanes

    @property
    def slices(self) -> int:
        """Slices of the engine."""
        return self.engine.tile.slices

    @property
    def positions(self) -> int:
        """Positions of one run: tokens of each sequence."""
        return self.tokens // self.sequences

    @property
    def first_rows(self) -> range:
        """The rows at the run's first position, one of every sequence."""
        return range(0, self.tokens, self.positions)

    def position_of(self, row: int) -> int:
        """Return the position of a row, from the run's first on."""
        return row % self.positions

    def sequence_of(self, row: int) -> int:
        """Return the sequence of a row."""
        return row // self.positions
