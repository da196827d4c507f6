"""Knows what one simulated run costs: cycles, bytes, token/s, and what every unit's cycles were spent on."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from typing import Any

from compiler.pipeline import Request, compile_shape
from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.program import Program
from hwsim.errors import ScheduleError, SpecError
from hwsim.machine.energy import energy_board
from hwsim.machine.time import Cause, Timeline, run_time
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import IDEAL, MemoryModel
from models.shapes import shape
from reports.energy import energy_document, run_energy
from reports.programs import Programs

__all__ = [
    "SINKS",
    "Simulation",
    "check_given",
    "compiled_workload",
    "format_named",
    "peak_memory_mb",
    "simulate",
    "simulate_checked",
    "workload_request",
]

SINKS = 4
"""Sink tokens of a workload's pattern; the rest of its context is the window."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """One run of a program at a position under a memory model.

    Attributes:
        model: what reports call the model.
        formats: names of the formats by what they are for: `layers`, `head`, `cache`.
        program, engine, memory, position: what was run.
        trace, timeline: what was executed and when.
        wall_s: seconds the simulation took.
    """

    model: str
    formats: dict[str, str]
    program: Program
    engine: EngineConfig
    memory: MemoryModel
    position: int
    trace: Trace
    timeline: Timeline
    wall_s: float

    @property
    def token_per_s(self) -> float:
        """Tokens per second at the engine's clock."""
        return self.program.rows * self.engine.clock_hz / self.timeline.cycles

    @property
    def total_bytes(self) -> int:
        """Bytes moved through every port, in both directions."""
        timeline = self.timeline
        return timeline.stream_bytes + timeline.side_read_bytes + timeline.side_write_bytes

    @property
    def fraction_of_peak(self) -> float:
        """Bytes that came through the stream ports, of what they carry with a beat in every cycle."""
        return self.timeline.stream_bytes / (self.timeline.cycles * self.engine.tile.beat_bytes)

    def causes(self, unit: Unit) -> dict[str, int]:
        """Return the cycles of a unit by cause; they sum to the cycles of the run."""
        return {cause.name.lower(): self.timeline.cause(unit, cause) for cause in Cause}

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        timeline = self.timeline
        units = {unit.name.lower(): self.causes(unit) for unit in Unit}
        energy = run_energy(self.trace, timeline, self.engine)
        return {
            "model": self.model,
            "engine": self.engine.name,
            "program": self.program.name,
            "memory": str(self.memory),
            "position": self.position,
            "formats": self.formats,
            "tokens": self.program.rows,
            "sequences": self.program.sequences,
            "cycles": timeline.cycles,
            "clock_hz": self.engine.clock_hz,
            "token_per_s": self.token_per_s,
            "bytes": self.total_bytes,
            "stream_bytes": timeline.stream_bytes,
            "side_read_bytes": timeline.side_read_bytes,
            "side_write_bytes": timeline.side_write_bytes,
            "bytes_per_cycle": self.total_bytes / timeline.cycles,
            "fraction_of_peak": self.fraction_of_peak,
            "causes": units["matrix"],
            "unit_causes": units,
            "units": {name: causes["compute"] / timeline.cycles for name, causes in units.items()},
            "energy": energy_document(energy, self.program.rows, energy_board(self.engine).name),
            "instructions": len(timeline.pc),
            "program_bytes": self.program.size_bytes,
            "wall_s": self.wall_s,
            "memory_mb": peak_memory_mb(),
        }


def format_named(name: str) -> Format:
    """Return a weight format by its lower-case name; raise SpecError."""
    names = [entry.name.lower() for entry in Format if entry.cache is None]
    if name.lower() not in names:
        raise SpecError(f"Format must be one of {', '.join(names)}, not {name!r}")
    return Format[name.upper()]


def cache_named(name: str) -> CacheFormat:
    """Return a cache format by its lower-case name; raise SpecError."""
    names = [entry.name.lower() for entry in CacheFormat]
    if name.lower() not in names:
        raise SpecError(f"Cache must be one of {', '.join(names)}, not {name!r}")
    return CacheFormat[name.upper()]


def workload_request(
    name: str,
    engine: EngineConfig,
    *,
    context: int,
    layers: Format = Format.W2S,
    head: Format = Format.W4,
    cache: CacheFormat = CacheFormat.KV4,
    batch: int = 1,
) -> Request:
    """Return the request for a well-known shape whose caches keep `context` tokens each, sinks included.

    Raises:
        ScheduleError: the context is too short.
        CheckpointError: no such shape.
    """
    if context <= SINKS:
        raise ScheduleError(f"Context must be more than the {SINKS} sink tokens, not {context}")
    return Request(
        config=shape(name),
        layers=layers,
        head=head,
        cache=cache,
        sinks=SINKS,
        window=context - SINKS,
        engine=engine,
        # Positions beyond the window, so that a run with a full window before it is possible.
        context=context + engine.tile.tokens,
        prefill_rows=engine.tile.rows_of(layers),
        batch=batch,
    )


def check_given(model: str | None, workload: str | None, context: int | None) -> None:
    """Raise SpecError unless either a model or a workload is named, the workload with a context."""
    if (model is None) == (workload is None):
        given = "neither" if model is None else "both"
        raise SpecError(f"Either MODEL or --workload must be given, not {given}")
    if workload is not None and context is None:
        raise SpecError("Context of a workload must be given with --context, not left out")


def compiled_workload(request: Request) -> Programs:
    """Return the programs of a `workload_request`; raise ScheduleError where something does not fit the engine."""
    return Programs.of(compile_shape(request), request.config.name)


def simulate(programs: Programs, name: str = "decode", *, position: int | None = None, memory: MemoryModel = IDEAL) -> Simulation:
    """Return what a run of `decode` or `prefill` costs.

    position: of the run's first token; None takes the first that has a full window before it, or the last that fits.

    Raises:
        ProgramError: a word is bad, or the position is beyond the program's memory.
        MachineError: the engine would stop or stand still.
    """
    program = programs.program(name)
    last = program.max_position - program.positions
    place = max(0, min(program.sinks + program.window, last)) if position is None else position
    program.check(programs.engine)
    return simulate_checked(programs, program, position=place, memory=memory)


def simulate_checked(programs: Programs, program: Program, *, position: int, memory: MemoryModel) -> Simulation:
    """Return what a run of one of the programs costs, whose words were checked before; raises what `simulate` does."""
    program.slot_of(position + program.positions - 1)
    began = time.perf_counter()
    trace = run_control(program.words, position=position, slot=program.slot_of(position))
    timeline = run_time(trace, programs.engine, memory)
    return Simulation(
        model=programs.model,
        formats=programs.formats,
        program=program,
        engine=programs.engine,
        memory=memory,
        position=position,
        trace=trace,
        timeline=timeline,
        wall_s=time.perf_counter() - began,
    )


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
