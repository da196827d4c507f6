"""Exact points: a design's decode step simulated to the cycle, without doing again what designs have in common."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping

from compiler.pipeline import Request, compile_decode, compile_request
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.machine.energy import Operations, activity_of, constants_of, energy_board, estimate, operations_of
from hwsim.machine.rules import check
from hwsim.machine.time import Cause, run_work
from hwsim.machine.time.work import Work, work_of
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import MemoryModel

__all__ = ["TIMING_PATHS", "ExactPoint", "exact", "shape_of"]

TIMING_PATHS = ("engine.clock_hz", "engine.fetch", "engine.control.queue_depth", "engine.control.watchdog_cycles", "memory")
"""Paths, or what they begin with, of what decides when an instruction runs and not what it does (see `shape_of`)."""
_KEPT = 32
"""Shapes whose programs are kept: some megabytes each."""


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
        wall_s: seconds that the point took.
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
    wall_s: float


def exact(request: Request, memory: MemoryModel, *, has_prefill: bool = False) -> ExactPoint:
    """Return what a decode step of a design costs, and a prefill run where it is asked for, equal to `lamforge.simulate` of them.

    Raises:
        ScheduleError: something does not fit the engine.
        ConfigError: the memory cannot have the engine's clock.
        MachineError: the engine would stop or stand still.
    """
    began = time.perf_counter()
    engine = request.engine
    shape = shape_of(request)
    rows, trace, work, did = _prepared(shape)
    timeline = run_work(trace, work, engine, memory)
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
        prefill_token_per_s=_prefilled(shape, engine, memory) if has_prefill else None,
        wall_s=time.perf_counter() - began,
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


def _prefilled(shape: Request, engine: EngineConfig, memory: MemoryModel) -> float:
    """Return the tokens of a prompt that a run with a full window takes in per second."""
    rows, trace, work, _ = _prepared(shape, is_prefill=True)
    return rows * engine.clock_hz / run_work(trace, work, engine, memory).cycles


@functools.lru_cache(maxsize=_KEPT)
def _prepared(shape: Request, is_prefill: bool = False) -> tuple[int, Trace, Work, Operations]:
    """Return the rows of a shape's decode step or prefill run, what it executes with a full window, its work and operations."""
    program = compile_request(shape).prefill if is_prefill else compile_decode(shape)
    position = program.steady_position
    trace = run_control(program.words, position=position, slot=program.slot_of(position))
    check(trace, shape.engine)
    return program.rows, trace, work_of(trace, shape.engine), operations_of(trace, shape.engine)
