"""How fast the parts are, measured in one run: the simulator beside Verilator on one program, compiler, meaning, text."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.host.inputs import Inputs
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel, stalling
from lamforge.flow.compile import CompileRequest, compiled_model
from lamforge.flow.compile import run as compile
from lamforge.flow.compress import chosen_recipe, parameters
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import generate
from lamforge.flow.offload.compare import BATCHES, CONTENDERS, CONTEXTS, compared
from lamforge.flow.offload.contender import contender
from lamforge.flow.programs import Programs
from lamforge.flow.provenance import peak_memory_mb
from lamforge.flow.sources import open_checkpoint, open_compressed
from models import compressed as folder
from models.compressed import CompressedModel
from models.zoo import network
from reports.studies.method_rates import MethodRate, method_rates
from reports.studies.packing import PackingRate, ShapedCompilation, compile_shaped, packing_rates
from testbenches.simulated import Simulated
from testbenches.verilated import Verilated

__all__ = ["Figures", "WorkloadSpeed", "measure", "offload_rate", "workload_speed"]

_REPEATS = 5
_TOKENS = 16
_PROMPT = "Why is the sky blue?"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkloadSpeed:
    """How fast one run of a program is simulated under a memory model, once compiled: medians of several, wall-clock.

    Attributes:
        memory, cycles: the memory model, and how long the run is under it.
        run_time_s: the time model.
        simulate_s: control and the time model.
    """

    memory: str
    cycles: int
    run_time_s: float
    simulate_s: float

    @property
    def cycles_per_s(self) -> float:
        """Engine cycles simulated per second, control included."""
        return self.cycles / self.simulate_s


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured; seconds are wall-clock.

    Attributes:
        engine, cycles: what ran, and how long a decode step of the model is.
        simulator_s, verilator_s: the time model (median of several), and Verilator with the clock alone, on that step.
        meaning_s: the simulator's bits of that step.
        compile_s: the model's programs and image.
        workload: the speed of the time model on a Llama-2-7B decode step on u280, under each memory model.
        parameters_per_s: compression to nearest.
        methods: every compression method on one layer of the shipped checkpoint.
        token_per_s: generation in integers.
        memory_mb: most memory held.
        packing: of every weight format, on u280.
        shaped: a model of a well-known shape compiled for u280; None where that was left out.
        offload_per_s: evaluations of systems with a workload, over whole grids.
    """

    engine: str
    cycles: int
    simulator_s: float
    verilator_s: float
    build_s: float
    meaning_s: float
    compile_s: float
    workload: tuple[WorkloadSpeed, ...]
    parameters_per_s: float | None
    methods: tuple[MethodRate, ...]
    token_per_s: float
    memory_mb: float
    packing: tuple[PackingRate, ...]
    shaped: ShapedCompilation | None
    offload_per_s: float

    @property
    def ratio(self) -> float:
        """How many times faster the time model is than Verilator."""
        return self.verilator_s / self.simulator_s

    @property
    def simulator_cycles_per_s(self) -> float:
        """Engine cycles of the step that the simulator does in a second."""
        return self.cycles / self.simulator_s

    @property
    def verilator_cycles_per_s(self) -> float:
        """Engine cycles of the step that Verilator does in a second."""
        return self.cycles / self.verilator_s


def measure(model: str | None, engine: EngineConfig, shaped: str | None, say: Callable[[str], None]) -> Figures:
    """Return the figures for a compressed model, or for the shipped checkpoint rounded to nearest.

    shaped: network that is packed at full size, which takes 4 GB of disk for a while; None leaves it out.
    """
    say("packing")
    packing = packing_rates(chosen_engine("u280"))
    if shaped is not None:
        say(f"writing and compiling {shaped}")
    compilation = None if shaped is None else compile_shaped(shaped, "u280", Path("build/bench"))
    say("compression methods")
    methods = method_rates(open_checkpoint("smollm2-135m"))
    say("compressing" if model is None else "opening the model")
    made, rate = _model(model)
    say("compiling")
    began = time.perf_counter()
    programs = compiled_model(made, engine)
    compile_s = time.perf_counter() - began
    say("simulating")
    position = min(programs.decode.max_position - 1, programs.decode.sinks + programs.decode.window)
    speed = workload_speed(programs, position, IDEAL)
    cycles, simulator_s = speed.cycles, speed.simulate_s
    shape = compile(CompileRequest(workload="llama-2-7b", engine="u280", context=2048))
    workload = tuple(workload_speed(shape, 2048, memory) for memory in (IDEAL, stalling(1), HBM2))
    assert programs.image is not None
    inputs = Inputs(position=position, rows=made.model.embedding.rows([1]))
    began = time.perf_counter()
    Simulated(engine).run(programs.decode, programs.image, inputs, IDEAL)
    meaning_s = time.perf_counter() - began
    say("building and running the Verilog")
    bench = Verilated(engine)
    bench.build()
    _, log = bench.run(programs.decode, programs.image, inputs, IDEAL)
    if log.cycles != cycles:
        say(f"cycles differ: {cycles:,} in the simulator, {log.cycles:,} in Verilator")
    say("generating")
    is_raw = made.tokenizer is None or made.tokenizer.chat_template is None
    answer = generate(made, _PROMPT, max_tokens=_TOKENS, is_raw=is_raw)
    return Figures(
        engine=engine.name,
        cycles=cycles,
        simulator_s=simulator_s,
        verilator_s=bench.run_s,
        build_s=bench.build_s,
        meaning_s=meaning_s,
        compile_s=compile_s,
        workload=workload,
        parameters_per_s=rate,
        methods=methods,
        token_per_s=answer.token_per_s,
        memory_mb=peak_memory_mb(),
        packing=packing,
        shaped=compilation,
        offload_per_s=offload_rate(),
    )


def offload_rate() -> float:
    """Return how many systems with a workload are evaluated per second: those of the page, every context and batch of each."""
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        compared(network("llama-2-7b"), [contender(name) for name in CONTENDERS], CONTEXTS, _TOKENS, BATCHES)
        seconds.append(time.perf_counter() - began)
    return len(CONTENDERS) * len(CONTEXTS) * len(BATCHES) / statistics.median(seconds)


def _model(source: str | None) -> tuple[CompressedModel, float | None]:
    if source is not None:
        return open_compressed(source), None
    checkpoint = open_checkpoint("smollm2-135m")
    recipe = chosen_recipe("w4a8kv4-fast")
    began = time.perf_counter()
    made = folder.create(checkpoint, recipe)
    return made, parameters(checkpoint) / (time.perf_counter() - began)


def workload_speed(programs: Programs, position: int, memory: MemoryModel) -> WorkloadSpeed:
    """Return how fast a decode step is simulated; the first of the runs, which may compile, does not count."""
    program, whole, alone, cycles = programs.decode, [], [], 0
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        trace = run_control(program.words, position=position, slot=program.slot_of(position))
        between = time.perf_counter()
        cycles = run_time(trace, programs.engine, memory).cycles
        ended = time.perf_counter()
        whole.append(ended - began)
        alone.append(ended - between)
    median = statistics.median
    return WorkloadSpeed(memory=str(memory), cycles=cycles, run_time_s=median(alone[1:]), simulate_s=median(whole[1:]))
