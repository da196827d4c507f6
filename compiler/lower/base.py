"""What a lowering is: one node on one engine, the memories it needs, and the steps it becomes."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compiler.graph import Node
from compiler.graph.ops import Op
from compiler.target.memory import OnChip, Run, SideTable
from compiler.target.step import Step
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import CacheLayout, PackedMatrix, packed_of
from hwsim.arch.isa import CacheFormat
from hwsim.errors import ScheduleError

if TYPE_CHECKING:
    from models.integer import IntegerModel

__all__ = ["SEGMENT", "Arrival", "Lowering", "Piece", "Place"]

SEGMENT = 64
"""Activations of one token row in a segment of the activation memory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where the rows of a value lie on chip: `stride` words each from word `start` on, or codes with their scales.

    Attributes:
        memory: as `OnChip` calls it.
        start: first word; of codes, the first segment.
        stride: words from one row to the next; codes of all rows lie beside each other.
        scale: of codes, the scale entry of row 0.
    """

    memory: str
    start: int
    stride: int = 0
    scale: int = 0

    @functools.cached_property
    def region(self) -> str:
        """Name of the place for the dependencies."""
        return f"{self.memory}.{self.start}"

    def at(self, words: int) -> Place:
        """Return the place so many words behind this one."""
        return dataclasses.replace(self, start=self.start + words)


OFF_CHIP = Place(memory="off-chip", start=0)
"""Place of a value that is never whole on chip."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Row blocks `first` to `first + blocks` of a matrix, and where their results go.

    alone: regions that nothing else may touch meanwhile, besides the place; results in residual memory are added to what is there.
    """

    first: int
    blocks: int
    place: Place
    alone: tuple[str, ...] = ()

    def rows(self, slices: int) -> tuple[int, int]:
        """Return its first matrix row, and the row behind its last one."""
        return self.first * slices, (self.first + self.blocks) * slices

    def holds(self, slices: int, start: int, count: int) -> bool:
        """Return whether any of the matrix rows start .. start + count - 1 is in the piece."""
        first, stop = self.rows(slices)
        return first < start + count and start < stop


class Arrival(enum.Enum):
    """How a node takes the results of the matrix that it reads."""

    WHOLE = "all are there before the node runs"
    PIECES = "the node goes on with each piece, and all are there before it runs"
    CHUNKS = "the node keeps one chunk at a time, in a region of its own"


class Lowering:
    """One node of a graph on an engine; a class for each operator adds what differs.

    First the places are given out: `settle` for the value of every node in graph order, then `claim` for what each
    needs besides. Then the steps are asked for. Neighbours are found through `sources` and `readers`.
    """

    arrival: ClassVar[Arrival] = Arrival.WHOLE
    memory: ClassVar[str | None] = None
    """Memory on chip that a value has a new place in, as `OnChip` calls it; None for a class that settles otherwise."""
    place = OFF_CHIP
    """Where the node's value lies."""
    parameter_start = 0
    """First parameter word of the node, where it has parameters."""
    uses_parameters_early: ClassVar[bool] = False
    """Whether the node's parameters are used while it receives pieces, before its own steps."""

    def __init__(self, node: Node, sources: tuple[Lowering, ...], engine: EngineConfig):
        self.op: Op = node.op
        self.name = node.name
        self.section = node.section
        self.engine = engine
        self.sources = sources
        self.readers: list[Lowering] = []
        self.width: int = node.op.width(tuple(source.width for source in sources))
        for source in sources:
            source.readers.append(self)

    # What it needs off chip.

    def check(self) -> None:
        """Raise ScheduleError where the node's shape is none that the engine can run."""

    def most_rows(self) -> int:
        """Return the token rows that the node takes at once, at most."""
        return self.engine.tile.tokens

    def stream_beats(self) -> int:
        """Return the beats of the node's weights behind each port."""
        return 0

    def caches(self, format: CacheFormat) -> tuple[int, CacheLayout] | None:
        """Return how many heads a layer keeps keys and values of and how one's lie, or None for a node that keeps none."""
        return None

    def matrix(self, model: IntegerModel, layer: int) -> PackedMatrix:
        """Return the weights whose streams the node has behind the ports."""
        return packed_of(model.matrices[self.name.format(layer)])

    def parameter_words(self) -> int:
        """Return the words of the node's parameters, which every layer loads."""
        return 0

    def parameters(self, model: IntegerModel, layer: int) -> np.ndarray:
        """Return the values of the node's parameters, int32, as many as its words hold or fewer."""
        raise ScheduleError(f"Node {self.name} must have a lowering that says what its parameters are")

    def side_tables(self, *, tokens: int, sequences: int, positions: int) -> tuple[SideTable, ...]:
        """Return the node's buffers in the side memory for such runs at so many positions."""
        return ()

    # Where it lies on chip.

    def settle(self, run: Run, chip: OnChip, before: Sequence[Lowering]) -> None:
        """Set the place of the node's value; `before` are the nodes that run earlier, settled. Raise ScheduleError."""
        if self.memory is not None:
            start = chip.take(self.memory, run.tokens * self.row_words, f"Node {self.name}")
            self.place = Place(memory=self.memory, start=start, stride=self.row_words)

    def claim(self, run: Run, chip: OnChip) -> None:
        """Take what the node needs on chip besides its value; raise ScheduleError."""

    # What it becomes.

    def loads(self, run: Run) -> list[Step]:
        """Return what is loaded once, in front of the layers."""
        return []

    def settings(self, run: Run) -> list[Step]:
        """Return the scalar steps once in front of the layers."""
        return []

    def receive(self, run: Run, rows: range) -> list[Step | Piece]:
        """Return the pieces of the matrix that the node reads, with its own steps in between; none if it takes the WHOLE."""
        return []

    def steps(self, run: Run, rows: range) -> list[Step]:
        """Return the node's steps for some of the run's rows."""
        return []

    # For the classes of the operators.

    @property
    def row_words(self) -> int:
        """Words of a row of the value, in whole row blocks of the matrix unit."""
        lanes = self.engine.vector.lanes
        block = max(self.engine.tile.slices, lanes)
        return -(-self.width // block) * block // lanes

    @property
    def parameter_region(self) -> str:
        """Name of the node's parameters for the dependencies."""
        return f"parameter.{self.parameter_start}"

    def argument(self, index: int, memory: str) -> Place:
        """Return where an argument lies; raise ScheduleError where that is not the memory that the instruction reads."""
        source = self.sources[index]
        if source.place.memory != memory:
            raise ScheduleError(f"Node {self.name} must read {memory} memory, not {source.name} in {source.place.memory} memory")
        return source.place
