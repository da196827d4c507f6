"""Where everything lies: streams and caches behind the ports, buffers in the side memory, regions on chip, for a run."""

import dataclasses

from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import CacheLayout
from hwsim.arch.isa import SIDE_UNIT
from hwsim.arch.program import Buffer
from hwsim.arch.timing import SIDE_BURST_BEATS
from hwsim.errors import ScheduleError

__all__ = ["MemoryMap", "OnChip", "ParameterBlock", "Run", "SideTable", "whole_bursts"]


def whole_bursts(units: int) -> int:
    """Return side units rounded up to whole bursts of the side port."""
    return -(-units // SIDE_BURST_BEATS) * SIDE_BURST_BEATS


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideTable:
    """A buffer of the side memory: its name, side units from one row to the next, and rows."""

    name: str
    row_units: int
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParameterBlock:
    """The parameters that one layer loads: those it still needs, then those that the next layer must find loaded.

    In front of `load_before`, which runs long, the parameters of the nodes before it have been used, so that those of
    the next layer may take their place; after the last layer, those of what follows the layers.

    Attributes:
        load_before: node in front of which a layer loads the block.
        offsets: first word of each node's parameters.
        words: of the block.
        ahead: first word of what the next layer must find loaded.
        units: side units from one layer's block to the next; block 0 holds only what the first layer must find loaded.
    """

    load_before: str
    offsets: dict[str, int]
    words: int
    ahead: int
    units: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryMap:
    """Offsets in beats from each port's base, and byte buffers of the side memory.

    Attributes:
        streams: first beat of each matrix: within its layer for the nodes of a layer, absolute for the others.
        layer_beats: beats from one layer's weights to the next.
        cache: layout of one head's cache.
        cache_start: first beat of layer 0's caches.
        head_beats: beats of one KV head's keys and values; keys come first.
        cache_layer_beats: beats from one layer's caches to the next.
        sequences: sequences that have caches of their own. sequence_beats: beats from one's caches to the next's.
        total_beats: beats used behind each port.
        parameters: what a layer loads from the buffer `parameters`.
        row_units: side units from one row to the next of the other buffers, by name.
        buffers: ranges of the side memory.
    """

    streams: dict[str, int]
    layer_beats: int
    cache: CacheLayout
    cache_start: int
    head_beats: int
    cache_layer_beats: int
    sequences: int
    sequence_beats: int
    total_beats: int
    parameters: ParameterBlock
    row_units: dict[str, int]
    buffers: tuple[Buffer, ...]

    def key_start(self, kv_head: int, sequence: int = 0) -> int:
        """Return the first beat of a head's keys, from its layer's caches of the first sequence on."""
        return sequence * self.sequence_beats + kv_head * self.head_beats

    def value_start(self, kv_head: int, sequence: int = 0) -> int:
        """Return the first beat of a head's values, from its layer's caches of the first sequence on."""
        return self.key_start(kv_head, sequence) + self.cache.key_beats

    def units(self, name: str) -> int:
        """Return the first side unit of a buffer."""
        return next(buffer.offset for buffer in self.buffers if buffer.name == name) // SIDE_UNIT


class OnChip:
    """Regions of the activation, result, residual, parameter and value-parameter memories and of the scale file."""

    def __init__(self, engine: EngineConfig):
        buffer = engine.buffer
        self._limits = {
            "activation": (buffer.activation_segments, "segments"),
            "result": (buffer.result_words, "words"),
            "residual": (buffer.residual_words, "words"),
            "parameter": (buffer.parameter_words, "words"),
            "side": (buffer.side_words, "words"),
            "scale": (buffer.scales, "entries"),
        }
        self._engine = engine.name
        self._used = dict.fromkeys(self._limits, 0)

    def take(self, memory: str, size: int, user: str) -> int:
        """Return the start of a new region; raise ScheduleError naming the user, such as `Node head`, where it does not fit."""
        start = self._used[memory]
        limit, unit = self._limits[memory]
        self._used[memory] = start + size
        if start + size > limit:
            raise ScheduleError(
                f"{user} must fit the {memory} memory of {self._engine}:"
                f" it needs {size} {unit}, {limit - start} of {limit} are left"
            )
        return start

    def left(self, memory: str) -> int:
        """Return how much of a memory is left."""
        return self._limits[memory][0] - self._used[memory]


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
