"""Lowering of the input: embedded tokens are loaded into the residual memory once, in front of the layers."""

from __future__ import annotations

from compiler.lower.base import Lowering
from compiler.target.memory_map import SIDE_UNIT, SideTable, whole_bursts
from compiler.target.run import Run
from compiler.target.step import Step, loads
from hwsim.arch.isa import Space

__all__ = ["InputLowering"]

_TABLE = "input"


class InputLowering(Lowering):
    """The residual rows of a run; loads start at whole bursts of the side port."""

    memory = "residual"

    def side_table(self, *, tokens: int, sequences: int, positions: int) -> SideTable:
        """Return the buffer that the host writes the rows into."""
        return SideTable(name=_TABLE, row_units=whole_bursts(self.width * 4 // SIDE_UNIT), rows=tokens)

    def loads(self, run: Run) -> list[Step]:
        """Return the loads of the rows."""
        place, memory = self.place, run.memory
        steps: list[Step] = []
        for row in range(run.tokens):
            steps += loads(
                Space.RESIDUAL,
                place.start + row * place.stride,
                run.lanes,
                self.width // 4,
                memory.units(_TABLE) + row * memory.row_units[_TABLE],
                node=self.name,
                writes=(place.region,),
            )
        return steps
