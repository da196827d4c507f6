"""Lowerings of what the host writes and reads: the input rows, loaded once, and the logits, stored chunk by chunk."""

from compiler.lower.base import Arrival, Lowering, Piece, Place
from compiler.target.memory import OnChip, Run, SideTable, whole_bursts
from compiler.target.step import Step, loads
from hwsim.arch.isa import SIDE_UNIT, Space, Store
from hwsim.errors import ScheduleError

__all__ = ["CHUNKS", "MOST_ROWS", "InputLowering", "OutputLowering"]

CHUNKS = 2
"""Chunks on chip: one is computed while the one before is stored."""
MOST_ROWS = 4095 * 4
"""Matrix rows of a chunk, at most: the stride of a product ends at 4095 words, of four lanes or more."""


class InputLowering(Lowering):
    """The residual rows of a run; loads start at whole bursts of the side port."""

    memory = "residual"

    def side_tables(self, *, tokens: int, sequences: int, positions: int) -> tuple[SideTable, ...]:
        """Return the buffer that the host writes the rows into."""
        return (SideTable(name="input", row_units=whole_bursts(self.width * 4 // SIDE_UNIT), rows=tokens),)

    def loads(self, run: Run) -> list[Step]:
        place, memory = self.place, run.memory
        steps: list[Step] = []
        for row in range(run.tokens):
            start, offset = place.start + row * place.stride, memory.units("input") + row * memory.row_units["input"]
            beats = self.width // 4
            steps += loads(Space.RESIDUAL, start, run.lanes, beats, offset, node=self.name, writes=(place.region,))
        return steps


class OutputLowering(Lowering):
    """The logits of the last row of every sequence."""

    arrival = Arrival.CHUNKS

    @property
    def _padded(self) -> int:
        slices = self.engine.tile.slices
        return -(-self.width // slices) * slices

    def side_tables(self, *, tokens: int, sequences: int, positions: int) -> tuple[SideTable, ...]:
        """Return the buffer that the host reads the logits from."""
        return (SideTable(name="output", row_units=self._padded * 4 // SIDE_UNIT, rows=sequences),)

    def claim(self, run: Run, chip: OnChip) -> None:
        """Share what is left of the result memory among the chunks."""
        head, unit = self.sources[0].name, 4 * max(run.slices, run.lanes)
        left = chip.left("result") // (CHUNKS * run.final_rows)
        self._chunk_rows = min(left * run.lanes, MOST_ROWS) // unit * unit
        if self._chunk_rows == 0:
            raise ScheduleError(
                f"Node {head} must fit the result memory of {run.engine.name}:"
                f" a chunk needs {unit // run.lanes} words, {left} are left"
            )
        stride = self._chunk_rows // run.lanes
        starts = [chip.take("result", run.final_rows * stride, f"Node {head}") for _ in range(CHUNKS)]
        self._chunks = [Place(memory="result", start=start, stride=stride) for start in starts]

    def receive(self, run: Run, rows: range) -> list[Step | Piece]:
        """Return the products of the chunks, each stored behind its own."""
        memory, slices = run.memory, run.slices
        blocks, most = self._padded // slices, self._chunk_rows // slices
        output = memory.units("output") + run.sequence_of(rows.start) * memory.row_units["output"]
        parts: list[Step | Piece] = []
        for index, first in enumerate(range(0, blocks, most)):
            place, count = self._chunks[index % CHUNKS], min(most, blocks - first)
            parts.append(Piece(first=first, blocks=count, place=place))
            for row in range(len(rows)):
                store = Store(
                    address=place.start + row * place.stride,
                    beats=-(-count * slices // 4),
                    offset=output + row * memory.row_units["output"] + first * slices // 4,
                )
                parts.append(Step(store, self.name, reads=(place.region,), writes=("output",)))
        return parts
