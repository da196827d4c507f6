"""What the time of an instruction depends on, as numbers: beats, blocks, drain lengths, durations, token partners."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from hwsim.arch import isa
from hwsim.arch.complete import require_rows
from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import UNIT_INSTRUCTIONS
from hwsim.arch.stream_sizes import Format
from hwsim.arch.timing import PEAK_LATENCY
from hwsim.compiled import compiled
from hwsim.machine.trace import Trace, list_naming

__all__ = ["AXPY", "BLOCKS", "BLOCKS_TWO_CYCLES", "NEVER", "READ", "SIDE_BYTES", "WRITE", "Work", "work_of"]

NEVER = -2
"""Token partner of a wait that no signal will ever answer."""

BLOCKS, BLOCKS_TWO_CYCLES, AXPY = range(3)
"""Kinds of matrix work: row blocks of one-cycle beats, row blocks whose data beats take two cycles, weighted sums."""
_BLOCK_KINDS = {1: BLOCKS, 2: BLOCKS_TWO_CYCLES}
_KNOWN = [each for each in Format if each.sizes.word_cycles in _BLOCK_KINDS]
require_rows(_KNOWN, Format, what="data words that take one or two cycles", module=__name__)
SIDE_BYTES = 16
"""Bytes of a beat of the side port."""
_PARAMETER_BYTES = 4
_UNITS = len(Unit)
READ, WRITE = range(2)
"""Kinds of mover work."""


class Work(NamedTuple):
    """Per dynamic instruction, int64.

    `amount` [instructions, 5]:
      FETCH   offset, beats, 0, 0, 0
      MATRIX  kind, blocks (of AXPY: beats), body beats of a block, blocks per header, drain length
      VECTOR  rows, words of a row, cycles of a row's first passes, 0, 0
      MOVER   kind, beats, first word of the side memory a store writes (-1: an append), 0, 0
    `partner` [instructions, 4]: for each unit waited for, the instruction whose token is taken; -1 without a wait.
    `members` [4, most]: by unit its instructions in order, padded with -1. `rank`: an instruction's place among them.
    `moved` [3]: beats of the streams, beats that the mover loads, bytes that it writes.
    """

    unit: np.ndarray
    amount: np.ndarray
    partner: np.ndarray
    members: np.ndarray
    rank: np.ndarray
    moved: np.ndarray


def work_of(trace: Trace, config: EngineConfig) -> Work:
    """Return the work of the instructions of a trace that `hwsim.machine.rules.check` accepted."""
    amount = np.zeros((len(trace), 5), dtype=np.int64)
    for kind, columns in _COLUMNS.items():
        rows = trace.first_rows_of(kind)
        for place, values in enumerate(columns(_Fields(trace=trace, kind=kind, rows=rows), config)):
            amount[rows, place] = values
    amount = amount[trace.same_as]
    members, rank = _queues(trace.unit)
    moved = _moved(trace, amount)
    partner = _partners(trace.unit, trace.header("wait"), trace.header("signal"))
    return Work(unit=trace.unit, amount=amount, partner=partner, members=members, rank=rank, moved=moved)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Fields:
    """The instructions of one kind: where they are in the trace, and the values of their fields."""

    trace: Trace
    kind: type[Instruction]
    rows: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.trace.values(self.kind, name, self.rows)


Columns = Iterable[np.ndarray | int]


def _fetch(of: _Fields, config: EngineConfig) -> Columns:
    return of["offset"], of["beats"]


def _dot(of: _Fields, config: EngineConfig) -> Columns:
    formats, blocks, inputs = of["format"], of["blocks"], LANES_PER_SLICE * of["inner"]
    kind = np.array([_BLOCK_KINDS[each.sizes.word_cycles] for each in Format])[formats]
    body = np.choose(formats, [each.sizes.body_words(inputs) for each in Format])
    period = np.array([each.sizes.header_blocks for each in Format])[formats]
    return kind, blocks, body, period, np.where(blocks == 0, 1, config.drain_words * of["rows"])


def _axpy(of: _Fields, config: EngineConfig) -> Columns:
    return AXPY, of["beats"], 0, 1, config.mixed_words * of["rows"]


def _vector(of: _Fields, config: EngineConfig) -> Columns:
    rows = 1 if of.kind is isa.KvQuant else of["rows"]
    if of.kind is isa.Softmax:
        words = of["sink_words"] + of["ring_words"]
        return rows, words, 2 * words + PEAK_LATENCY
    # The constants of NORM are selected after the words of the row.
    return rows, of["length"], of["length"] + (1 if of.kind is isa.Norm else 0)


def _copy(of: _Fields, config: EngineConfig) -> Columns:
    if of.kind is isa.Append:
        return WRITE, (1 << of["segments"]) + 1, -1
    return (READ, of["beats"]) if of.kind is isa.Load else (WRITE, of["beats"], of["offset"])


_COLUMNS: dict[type[Instruction], Callable[[_Fields, EngineConfig], Columns]] = {
    isa.Fetch: _fetch,
    isa.Dot: _dot,
    isa.Axpy: _axpy,
    **dict.fromkeys((isa.Norm, isa.Quant, isa.SwiGlu, isa.Rope, isa.Softmax, isa.KvQuant), _vector),
    **dict.fromkeys((isa.Load, isa.Store, isa.Append), _copy),
}
"""What gives the columns of `Work.amount`, by instruction."""
require_rows(_COLUMNS, UNIT_INSTRUCTIONS, what="work for the time model", module=__name__)


def _moved(trace: Trace, amount: np.ndarray) -> np.ndarray:
    """Return beats of the streams, beats that the mover loads, and bytes that it writes: of an append's last beat one parameter."""
    mover, is_write = trace.unit == Unit.MOVER, amount[:, 0] == WRITE
    beats, loads, writes = (amount[rows, 1].sum() for rows in (trace.unit == Unit.FETCH, mover & ~is_write, mover & is_write))
    written = writes * SIDE_BYTES - len(trace.rows_of(isa.Append)) * (SIDE_BYTES - _PARAMETER_BYTES)
    return np.array([beats, loads, written])


def _queues(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's instructions in order [4, most] (padded with -1) and each instruction's place among them."""
    lists = [np.flatnonzero(units == unit) for unit in Unit]
    members = np.full((len(Unit), max(map(len, lists))), -1, dtype=np.int64)
    rank = np.zeros(len(units), dtype=np.int64)
    for unit, entry in enumerate(lists):
        members[unit, : len(entry)] = entry
        rank[entry] = np.arange(len(entry))
    return members, rank


@compiled
def _partners(unit: np.ndarray, wait: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Match the n-th wait of a unit for another with the n-th signal of that other: counters are in order.

    No instruction names its own unit: `hwsim.machine.rules.check` refuses those that do.
    """
    partner = np.full((len(unit), _UNITS), -1, np.int64)
    waits, signals = np.empty(len(unit), np.int64), np.empty(len(unit), np.int64)
    for producer in range(_UNITS):
        for consumer in range(_UNITS):
            count = list_naming(unit, signal, producer, consumer, signals)
            for place in range(list_naming(unit, wait, consumer, producer, waits)):
                partner[waits[place], producer] = signals[place] if place < count else NEVER
    return partner
