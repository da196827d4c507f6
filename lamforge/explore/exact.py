"""Exact points: a design's decode step simulated to the cycle, without doing again what designs have in common."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping

from compiler.pipeline import Request, compile_decode, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.program import Program
from hwsim.machine.energy import Operations, activity_of, constants_of, energy_board, estimate, operations_of
from hwsim.machine.rules import check
from hwsim.machine.time import Cause, Timeline, run_work
from hwsim.machine.time.work import Work, work_of
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import MemoryModel
from lamforge.explore.metrics import FIRST_TOKEN, PREFILL

__all__ = ["CYCLE_PATHS", "TIMING_PATHS", "ExactPoint", "exact", "shape_of"]

CYCLE_PATHS = ("engine.clock_hz", "engine.control.watchdog_cycles")
"""Paths of what decides how long a cycle is and not how many there are, where the memory has no clock of its own."""
TIMING_PATHS = (*CYCLE_PATHS, "engine.fetch", "engine.control.queue_depth", "memory")
"""Paths, or what they begin with, of what decides when an instruction runs and not what it does (see `shape_of`)."""
_KEPT = 32
"""Shapes whose programs are kept: some megabytes each."""
_KEPT_RUNS = 4
"""Runs whose times are kept, for the points that follow and differ in `CYCLE_PATHS` alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactPoint:
    """A decode step with a full window, simulated.

    Attributes:
        cycles, tokens: of the step.
        token_per_s: tokens of all sequences per second.
        stream_bytes, side_bytes: bytes through the stream ports and the side port.
        fraction_of_peak: bytes through the stream ports, of what they carry with a beat in every cycle.
        causes: cycles of the matrix unit by cause, which sum to the cycles.
        token_per_joule: tokens for each joule of the card, estimated.
        prefill_token_per_s: tokens of a prompt per second, of a prefill run with a full window; None where it was not asked for.
        first_token_s: seconds until every sequence has its first token after a prompt of `Request.context` tokens; the same.
    """

    cycles: int
    tokens: int
    token_per_s: float
    stream_bytes: int
    side_bytes: int
    fraction_of_peak: float
    causes: Mapping[str, int]
    token_per_joule: float
    prefill_token_per_s: float | None
    first_token_s: float | None


def exact(request: Request, memory: MemoryModel, *, asked: Collection[str] = ()) -> ExactPoint:
    """Return what a decode step of a design costs, equal to `lamforge.simulate` of it.

    asked: those of `lamforge.explore.metrics.PROMPT` that are wanted, which take prefill runs.

    Raises:
        ScheduleError: something does not fit the engine.
        ConfigError: the memory cannot have the engine's clock.
        MachineError: the engine would stop or stand still.
    """
    engine = request.engine
    shape = shape_of(request)
    rows, _, _, did = _prepared(shape, False)
    timeline = _timeline(shape, False, _of_equal_cycles(engine, memory), memory)
    constants = constants_of(energy_board(engine))
    energy = estimate(activity_of(did, timeline, engine, constants), constants)
    return ExactPoint(
        cycles=timeline.cycles,
        tokens=rows,
        token_per_s=rows * engine.clock_hz / timeline.cycles,
        stream_bytes=timeline.stream_bytes,
        side_bytes=timeline.side_read_bytes + timeline.side_write_bytes,
        fraction_of_peak=timeline.stream_bytes / (timeline.cycles * engine.tile.beat_bytes),
        causes={cause.name.lower(): timeline.cause(Unit.MATRIX, cause) for cause in Cause},
        token_per_joule=rows / energy.card_j,
        prefill_token_per_s=_prefilled(shape, engine, memory) if PREFILL in asked else None,
        first_token_s=_first_token(shape, engine, memory) if FIRST_TOKEN in asked else None,
    )


def shape_of(request: Request) -> Request:
    """Return the request of the same program and work: its engine has another clock, FIFOs, bursts, queues and watchdog.

    They decide when an instruction runs, and not what it does: neither the compiler nor the amount of work reads them.
    """
    engine, usual = request.engine, _usual_engine()
    control = dataclasses.replace(usual.control, program_words=engine.control.program_words)
    alike = dataclasses.replace(engine, clock_hz=usual.clock_hz, fetch=usual.fetch, control=control)
    return dataclasses.replace(request, engine=alike)


@functools.cache
def _usual_engine() -> EngineConfig:
    return load_engine("small")


def _of_equal_cycles(engine: EngineConfig, memory: MemoryModel) -> EngineConfig:
    """Return the engine whose runs take the same cycles: with another watchdog, and another clock if the memory has none."""
    usual = _usual_engine()
    control = dataclasses.replace(engine.control, watchdog_cycles=usual.control.watchdog_cycles)
    clock_hz = engine.clock_hz if memory.has_clock else usual.clock_hz
    return dataclasses.replace(engine, clock_hz=clock_hz, control=control)


@functools.lru_cache(maxsize=_KEPT_RUNS)
def _timeline(shape: Request, is_prefill: bool, engine: EngineConfig, memory: MemoryModel) -> Timeline:
    """Return when a shape's decode step or prefill run with a full window runs on an engine."""
    _, trace, work, _ = _prepared(shape, is_prefill)
    return run_work(trace, work, engine, memory)


def _prefilled(shape: Request, engine: EngineConfig, memory: MemoryModel) -> float:
    """Return the tokens of a prompt that a run with a full window takes in per second."""
    rows, *_ = _prepared(shape, True)
    return rows * engine.clock_hz / _timeline(shape, True, _of_equal_cycles(engine, memory), memory).cycles


def _first_token(shape: Request, engine: EngineConfig, memory: MemoryModel) -> float:
    """Return the seconds that a prompt takes whose last token is the last that can be run, every sequence's one after the other.

    Prefill runs take all but the last token as far as they are whole, decode steps the rest, the last of which gives the token.
    """
    rows = _program(shape, True).positions
    runs = (shape.context - 1) // rows
    steps = range(runs * rows, shape.context)
    prefilled = _cycles_of_runs(shape, engine, memory, range(0, runs * rows, rows), is_prefill=True)
    return (shape.batch * prefilled + _cycles_of_runs(shape, engine, memory, steps, is_prefill=False)) / engine.clock_hz


def _cycles_of_runs(shape: Request, engine: EngineConfig, memory: MemoryModel, positions: range, *, is_prefill: bool) -> int:
    """Return the cycles of the runs from some positions on, one after the other.

    A run's work depends on how many row blocks of the ring are valid at its end, and on nothing else of its position.
    """
    program, block = _program(shape, is_prefill), max(engine.tile.slices, engine.vector.lanes)
    valid = [min(max(position + program.positions - shape.sinks, 0), shape.window) for position in positions]
    runs: dict[int, list[int]] = {}
    for position, tokens in zip(positions, valid, strict=True):
        runs.setdefault(-(-tokens // block), []).append(position)
    cycles = 0
    for alike in runs.values():
        trace = _trace(program, shape.engine, alike[0])
        cycles += len(alike) * run_work(trace, work_of(trace, shape.engine), engine, memory).cycles
    return cycles


@functools.lru_cache(maxsize=_KEPT)
def _program(shape: Request, is_prefill: bool) -> Program:
    return compile_request(shape).prefill if is_prefill else compile_decode(shape)


def _trace(program: Program, engine: EngineConfig, position: int) -> Trace:
    """Return what a program executes at a position, checked against what the engine has."""
    trace = run_control(program.words, position=position, slot=program.slot_of(position))
    check(trace, engine)
    return trace


@functools.lru_cache(maxsize=_KEPT)
def _prepared(shape: Request, is_prefill: bool) -> tuple[int, Trace, Work, Operations]:
    """Return the rows of a shape's decode step or prefill run, what it executes with a full window, its work and operations."""
    program = _program(shape, is_prefill)
    trace = _trace(program, shape.engine, program.steady_position)
    return program.rows, trace, work_of(trace, shape.engine), operations_of(trace, shape.engine)
