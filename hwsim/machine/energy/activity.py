"""What a simulated run does, counted from its dynamic instructions: bits, accesses, operations, cycles."""

import dataclasses

import numpy as np

from hwsim.arch import isa
from hwsim.arch.board import EnergyConstants
from hwsim.arch.complete import require_rows
from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import UNIT_INSTRUCTIONS, Destination
from hwsim.arch.stream_sizes import Format
from hwsim.machine.energy.estimate import Activity
from hwsim.machine.time.result import Cause, Timeline
from hwsim.machine.trace import Trace

__all__ = ["Operations", "activity_of", "operations_of"]

_PORT_BITS = 72
"""Widest access of an on-chip memory block (Ref: UG573, block RAM and UltraRAM)."""
_PER_OPERATION = 2
"""8x4 products of one DSP operation."""
_WORD_LANE_BITS = 32
_SEGMENT_BITS = 64 * 8
_PASSES: dict[type[Instruction], tuple[int, int]] = {
    isa.Norm: (2, 2),
    isa.Quant: (2, 1),
    isa.SwiGlu: (2, 2),
    isa.Rope: (2, 3),
    isa.Softmax: (3, 2),
    isa.KvQuant: (2, 3),
}
"""Passes over a row, and words read for each word of the first pass (docs/engine.md section 5)."""
_MATRIX = (isa.Dot, isa.Axpy)
_MOVING = (isa.Fetch, isa.Load, isa.Store, isa.Append)
"""Instructions whose activity is the bytes that the timeline counts."""
require_rows({*_PASSES, *_MATRIX, *_MOVING}, UNIT_INSTRUCTIONS, what="an activity for the energy", module=__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operations:
    """What the instructions of a trace do, whenever they do it.

    Attributes:
        beats: beats with data, times token rows.
        drained, added: words drained, and words added to what is there.
        read, passed, values: words that the vector unit reads, passes over, and writes.
    """

    beats: int
    drained: int
    added: int
    read: int
    passed: int
    values: int


def operations_of(trace: Trace, config: EngineConfig) -> Operations:
    """Return what the instructions of a trace do."""
    beats, drained, added = _matrix(trace, config)
    read, passed, values = _vector(trace)
    return Operations(beats=beats, drained=drained, added=added, read=read, passed=passed, values=values)


def activity_of(did: Operations, timeline: Timeline, config: EngineConfig, constants: EnergyConstants) -> Activity:
    """Return the activity of a run whose instructions did this.

    Counted are: every byte through the ports; FIFO writes and reads; activation segments and coefficients read; drained
    words written, and read where they are added to; words the vector unit reads, twice where it passes twice; codes
    written; side beats. A multiplier works for each token row of a run in each cycle with a data word, two to a DSP
    operation; the vector unit takes a DSP operation for each value of a pass. Logic is at work while the matrix unit
    computes, registers are clocked in every cycle; how many there are follows from the multipliers.
    """
    tile, lanes = config.tile, config.vector.lanes
    word_bits = lanes * _WORD_LANE_BITS
    stream_bits, side_bits = 8 * timeline.stream_bytes, 8 * (timeline.side_read_bytes + timeline.side_write_bytes)
    ram_bits = (
        2 * stream_bits
        + side_bits
        + did.beats * _SEGMENT_BITS
        + (did.drained + did.added + did.read) * word_bits
        + did.values * lanes * 8
    )
    products = did.beats * tile.slices * LANES_PER_SLICE
    multipliers = tile.slices * LANES_PER_SLICE * tile.tokens
    sizes = {
        "logic_cycles": (constants.luts_fixed, constants.luts_per_multiplier),
        "register_cycles": (constants.registers_fixed, constants.registers_per_multiplier),
    }
    luts, registers = (fixed.value + multipliers * growing.value for fixed, growing in sizes.values())
    busy = timeline.cause(Unit.MATRIX, Cause.COMPUTE)
    return Activity(
        seconds=timeline.cycles / config.clock_hz,
        memory_bits=stream_bits + side_bits,
        ram_accesses=ram_bits / _PORT_BITS,
        multiplier_operations=products / _PER_OPERATION + did.passed * lanes,
        logic_cycles=luts * busy,
        register_cycles=registers * timeline.cycles,
        assumed=frozenset(name for name, used in sizes.items() if any(each.is_assumed for each in used)),
    )


def _matrix(trace: Trace, config: EngineConfig) -> tuple[int, int, int]:
    """Return beats with data, times token rows; drained words; words added to what is there."""
    dots, mixes = trace.rows_of(isa.Dot), trace.rows_of(isa.Axpy)
    rows, inner, blocks, form = (trace.values(isa.Dot, name, dots) for name in ("rows", "inner", "blocks", "format"))
    cycles = blocks * np.choose(form, [each.sizes.data_cycles(LANES_PER_SLICE * inner) for each in Format])
    mixed = trace.values(isa.Axpy, "beats", mixes) * trace.values(isa.Axpy, "rows", mixes)
    # Each reads a segment of activations; in AXPY a coefficient of a byte for each of S / G tokens.
    beats = int((cycles * rows).sum() + mixed.sum())
    drained = int((blocks * rows).sum()) * config.drain_words + config.mixed_words * int(
        trace.values(isa.Axpy, "rows", mixes).sum()
    )
    is_added = trace.values(isa.Dot, "destination", dots) != Destination.RESULT
    added = int((blocks * rows)[is_added].sum()) * config.drain_words
    return beats, drained, added


def _vector(trace: Trace) -> tuple[int, int, int]:
    """Return words read, words passed over, and words of values written by the vector unit."""
    read = passed = values = 0
    for kind, (passes, sources) in _PASSES.items():
        at = trace.rows_of(kind)
        if kind is isa.Softmax:
            words = trace.values(kind, "sink_words", at) + trace.values(kind, "ring_words", at)
        else:
            words = trace.values(kind, "length", at)
        total = int((words * (1 if kind is isa.KvQuant else trace.values(kind, "rows", at))).sum())
        # What the first pass computes is kept, written once and read in the passes after it.
        read += total * (sources + 1 + passes - 1)
        passed += total * passes
        values += total
    return read, passed, values
