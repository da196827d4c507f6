"""Lowering of matrix products: a fetch of the weights and a DOT, for the whole matrix or in the pieces that its reader takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compiler.graph import LAYERS
from compiler.graph.ops import Linear
from compiler.lower.base import Arrival, Lowering, Piece
from compiler.target.memory import OnChip, Run
from compiler.target.step import WEIGHTS, Step
from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.arch.isa import Destination, Dot, Fetch, Format
from hwsim.errors import ScheduleError

if TYPE_CHECKING:
    from models.integer import IntegerModel

__all__ = ["MOST_INNER", "LinearLowering"]

MOST_INNER = 1023
"""Groups of 32 inputs of a DOT, at most: its field ends there."""


class LinearLowering(Lowering):
    """The product of codes with a matrix, in the result memory or added to residual rows."""

    memory = "result"
    op: Linear

    @property
    def _format(self) -> Format:
        if self.op.format is None:
            raise ScheduleError(f"Node {self.name} must have a weight format, not none")
        return self.op.format

    @property
    def _blocks(self) -> int:
        return -(-self.width // self.engine.tile.slices)

    def check(self) -> None:
        name, inputs, group = self._format.name, self.op.inputs, WEIGHT_FORMATS[self._format].group
        if inputs % group:
            raise ScheduleError(
                f"Inputs of {self.name} must be a multiple of {group}, the {name} group ({inputs % group} too many), not {inputs}"
            )
        if inputs // 32 > MOST_INNER:
            raise ScheduleError(f"Inputs of {self.name} must be at most {32 * MOST_INNER}, not {inputs}")
        if self.op.bias and self.op.residual:
            raise ScheduleError(f"Node {self.name} must add a bias or a residual, not both at once")
        takers = [reader.name for reader in self.readers if reader.arrival is not Arrival.WHOLE]
        if takers and len(self.readers) > 1:
            raise ScheduleError(f"Node {self.name} must have {takers[0]} as its only reader, not {len(self.readers)} readers")

    def most_rows(self) -> int:
        """Return the rows that weights of this format are multiplied with."""
        return self.engine.tile.rows_of(self._format)

    def stream_beats(self) -> int:
        return WEIGHT_FORMATS[self._format].stream_words(self._blocks, self.op.inputs)

    def parameter_words(self) -> int:
        """Return the words of the bias, in whole row blocks."""
        return self.row_words if self.op.bias else 0

    def parameters(self, model: IntegerModel, layer: int) -> np.ndarray:
        return model.biases[self.name.format(layer)]

    def settle(self, run: Run, chip: OnChip, before: Sequence[Lowering]) -> None:
        """Take a place for the results, or that of the residual, which nobody may read later."""
        if self.op.residual:
            self.place, source = self.argument(1, "residual"), self.sources[1]
            late = [reader.name for reader in source.readers if reader is not self and reader not in before]
            if late:
                raise ScheduleError(f"Node {self.name} must be the last reader of {source.name}, which it adds to, not {late[0]}")
        elif not any(reader.arrival is Arrival.CHUNKS for reader in self.readers):
            super().settle(run, chip, before)

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the fetch and the product of the matrix, or of the pieces that a reader takes, with its steps in between."""
        parts = [part for reader in self.readers for part in reader.receive(run, rows)]
        parts = parts or [Piece(first=0, blocks=self._blocks, place=self.place)]
        return [step for part in parts for step in ([part] if isinstance(part, Step) else self._product(run, rows, part))]

    def _product(self, run: Run, rows: range, piece: Piece) -> list[Step]:
        """Return the fetch and the product of a piece, which starts with a header of the stream."""
        op, codes, packer = self.op, self.argument(0, "activation"), WEIGHT_FORMATS[self._format]
        start = packer.stream_words(piece.first, op.inputs)
        beats = packer.stream_words(piece.first + piece.blocks, op.inputs) - start
        layer = WEIGHTS if self.section == LAYERS else 0
        fetch = Fetch(offset=run.memory.streams[self.name] + start, beats=beats, registers=(layer, 0, 0))
        is_added = op.residual or piece.place.memory == "residual"
        destination = Destination.RESIDUAL if is_added else Destination.BIASED if op.bias else Destination.RESULT
        side = self.parameter_start + piece.first * run.slices // run.lanes if op.bias else 0
        dot = Dot(
            format=self._format,
            rows=len(rows),
            source=codes.start,
            inner=op.inputs // 32,
            blocks=piece.blocks,
            scale=codes.scale,
            destination=destination,
            # Residual rows are those of the whole run.
            address=piece.place.start + (rows.start * piece.place.stride if op.residual else 0),
            stride=piece.place.stride,
            side=side,
        )
        reads = (codes.region, self.parameter_region) if op.bias else (codes.region,)
        return [Step(fetch, self.name), Step(dot, self.name, reads=reads, writes=(piece.place.region, *piece.alone), consumes=1)]
