"""What a run of a program costs on an engine, cycle by cycle: bytes, token/s, energy, and what every cycle was spent on."""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.program import Program
from hwsim.errors import SpecError
from hwsim.machine.energy import Energy, activity_of, constants_of, energy_board, estimate, operations_of
from hwsim.machine.time import Cause, Timeline, run_time
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import IDEAL, MemoryModel, memory_model
from lamforge.flow.programs import Programs, is_program_folder
from lamforge.flow.provenance import peak_memory_mb
from lamforge.flow.target import Target
from lamforge.flow.verb import SILENT, Listener, verb

__all__ = ["PromptTiming", "RunEnergy", "SimulateRequest", "Timeline", "Timing", "run", "simulate", "simulate_run"]

Causes = Mapping[str, Mapping[str, int]]
"""Cycles by unit and cause; those of a unit sum to the cycles of the run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulateRequest(Target):
    """A run to time. In the place of the model there may also be a folder that compile wrote, or programs.

    Attributes:
        program: `decode` or `prefill`.
        position: of the first token; None takes the first that has a full window before it.
        prompt: tokens of a whole prompt to time, prefill runs one after the other from position 0 on; None times one run.
        memory: memory model: `ideal`, `stalling` or `hbm2`, the last two also with `:SEED`.
    """

    program: str = "decode"
    position: int | None = None
    prompt: int | None = None
    memory: str | MemoryModel = "ideal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnergy(Energy):
    """Joules by part that a run for so many tokens draws, by the constants of the board with a name."""

    board: str
    tokens: int

    @property
    def token_per_joule(self) -> float:
        """Tokens for each joule of the card."""
        return self.tokens / self.card_j


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Timing:
    """One run of a program at a position under a memory model.

    Attributes:
        model: name of the model.
        formats: names of the formats by what they are for: `layers`, `head`, `cache`.
        program, engine, memory, position: what was run.
        trace, timeline: what was executed and when.
        wall_s: seconds that the simulation took.
        memory_mb: most memory that this process has held, in MB.
    """

    model: str
    formats: Mapping[str, str]
    program: Program = dataclasses.field(repr=False)
    engine: EngineConfig = dataclasses.field(repr=False)
    memory: MemoryModel
    position: int
    trace: Trace = dataclasses.field(repr=False)
    timeline: Timeline = dataclasses.field(repr=False)
    wall_s: float
    memory_mb: float

    @property
    def cycles(self) -> int:
        """Cycles from the start of the run to its end."""
        return self.timeline.cycles

    @property
    def tokens(self) -> int:
        """Tokens of the run."""
        return self.program.rows

    @property
    def token_per_s(self) -> float:
        """Tokens per second at the engine's clock."""
        return self.tokens * self.engine.clock_hz / self.cycles

    @property
    def total_bytes(self) -> int:
        """Bytes moved through every port, in both directions."""
        timeline = self.timeline
        return timeline.stream_bytes + timeline.side_read_bytes + timeline.side_write_bytes

    @property
    def bytes_per_cycle(self) -> float:
        """Bytes moved through every port, in both directions, per cycle."""
        return self.total_bytes / self.cycles

    @property
    def fraction_of_peak(self) -> float:
        """Bytes that came through the stream ports, of what they carry with a beat in every cycle."""
        return self.timeline.stream_bytes / (self.cycles * self.engine.tile.beat_bytes)

    @functools.cached_property
    def causes(self) -> Causes:
        """Cycles of every unit by cause: `timing.causes["matrix"]["compute"]`."""
        return {unit.name.lower(): {cause.name.lower(): self.timeline.cause(unit, cause) for cause in Cause} for unit in Unit}

    @property
    def busy(self) -> dict[str, float]:
        """Share of the cycles in which each unit computes."""
        return {unit: causes["compute"] / self.cycles for unit, causes in self.causes.items()}

    @functools.cached_property
    def energy(self) -> RunEnergy:
        """Energy of the run on the board that the engine is made for."""
        board = energy_board(self.engine)
        constants = constants_of(board)
        found = estimate(activity_of(operations_of(self.trace, self.engine), self.timeline, self.engine, constants), constants)
        return RunEnergy(**vars(found), board=board.name, tokens=self.tokens)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptTiming:
    """The prefill runs of a prompt of `tokens` tokens together; `causes` has the matrix unit's cycles, under `matrix`, by cause."""

    model: str
    engine: EngineConfig
    memory: MemoryModel
    tokens: int
    runs: int
    cycles: int
    causes: Causes

    @property
    def token_per_s(self) -> float:
        """Tokens of the prompt per second at the engine's clock."""
        return self.tokens * self.engine.clock_hz / self.cycles


def run(request: SimulateRequest, listener: Listener = SILENT) -> Timing | PromptTiming:
    """Simulate one run of a program, or a whole prompt: cycles, bytes, token/s, and what every cycle was spent on.

    Causes are compute, memory (the next beat is not there), drain (results still leave the array), on_... (waiting for
    another unit) and control; those of a unit sum to the cycles.

    Raises:
        SpecError: not exactly one of model and workload is given, or a prompt together with a position.
        CheckpointError: there is no such model or network.
        ScheduleError: something does not fit the engine.
        ProgramError: a word is bad, or the position is beyond the program's memory.
        MachineError: the engine would stop or stand still.
    """
    memory = memory_model(request.memory) if isinstance(request.memory, str) else request.memory
    programs = _programs(request)
    if request.prompt is None:
        return simulate_run(programs, request.program, position=request.position, memory=memory)
    if request.position is not None:
        raise SpecError("Position must be left out with a prompt, which starts at position 0")
    if request.program != SimulateRequest().program:
        raise SpecError("Program must be left out with a prompt, which is prefilled")
    return _prompt_timing(programs, request.prompt, memory=memory, listener=listener)


simulate = verb("simulate", SimulateRequest, run)


def _programs(request: SimulateRequest) -> Programs:
    """Return the programs to run: those given or in a folder, or compiled now."""
    model, folder = request.model, request.folder
    if isinstance(model, Programs) or (folder is not None and request.workload is None and is_program_folder(folder)):
        plain = SimulateRequest()
        for name in ("engine", "settings", "context", "positions", "layers", "head", "cache", "batch"):
            if getattr(request, name) != getattr(plain, name):
                raise SpecError(f"{name.capitalize()} must be left to the compiled programs, not given again")
        return model if isinstance(model, Programs) else Programs.load(Path(str(model)))
    request.check()
    if model is None:
        return request.network_programs()
    # Imported here: a network without weights does without PyTorch's models.
    from lamforge.flow.compile import compiled_model
    from lamforge.flow.sources import open_compressed

    return compiled_model(open_compressed(model), request.chosen_engine, positions=request.positions)


def simulate_run(programs: Programs, name: str = "decode", *, position: int | None = None, memory: MemoryModel = IDEAL) -> Timing:
    """Return what a run of `decode` or `prefill` costs.

    position: of the run's first token; None takes the first that has a full window before it, or the last that fits.

    Raises ProgramError for a bad word or a position beyond the memory, MachineError where the engine would stand still.
    """
    program = programs.program(name)
    if position is None:
        position = program.steady_position
    program.check(programs.engine)
    return _checked_run(programs, program, position=position, memory=memory)


def _prompt_timing(programs: Programs, tokens: int, *, memory: MemoryModel, listener: Listener) -> PromptTiming:
    """Return what a prompt of `tokens` tokens costs, each run starting when the one before has ended."""
    program, engine = programs.prefill, programs.engine
    rows = program.positions
    if tokens < 1 or tokens % rows:
        raise SpecError(f"Prompt must be a multiple of the {rows} tokens of a prefill run, not {tokens}")
    program.check(engine)
    # A prompt that is too long is refused before its first run.
    program.slot_of(tokens - 1)
    cycles, causes = 0, collections.Counter[str]()
    for position in range(0, tokens, rows):
        timing = _checked_run(programs, program, position=position, memory=memory)
        cycles += timing.cycles
        causes.update(timing.causes["matrix"])
        listener.progress("prompt", (position + rows) / tokens)
    return PromptTiming(
        model=programs.model,
        engine=engine,
        memory=memory,
        tokens=tokens,
        runs=tokens // rows,
        cycles=cycles,
        causes={"matrix": dict(causes)},
    )


def _checked_run(programs: Programs, program: Program, *, position: int, memory: MemoryModel) -> Timing:
    """Return what a run of one of the programs costs, whose words were checked before."""
    program.slot_of(position + program.positions - 1)
    began = time.perf_counter()
    trace = run_control(program.words, position=position, slot=program.slot_of(position))
    timeline = run_time(trace, programs.engine, memory, side_bytes=program.side_bytes)
    return Timing(
        model=programs.model,
        formats=programs.formats,
        program=program,
        engine=programs.engine,
        memory=memory,
        position=position,
        trace=trace,
        timeline=timeline,
        wall_s=time.perf_counter() - began,
        memory_mb=peak_memory_mb(),
    )
