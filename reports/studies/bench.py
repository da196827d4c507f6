"""How fast the parts are, measured in one run: the simulator beside Verilator on one program, compiler, packing, compression."""

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from compiler.pipeline import compile_request
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import WEIGHT_FORMATS, pack
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import MachineError, SpecError
from hwsim.host.inputs import Inputs
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import HBM2, IDEAL, MemoryModel, stalling
from lamforge.explore.exact import exact
from lamforge.explore.space import Space
from lamforge.explore.study import study_of
from lamforge.flow.compile import CompileRequest, compiled_model
from lamforge.flow.compile import run as compile
from lamforge.flow.compress import chosen_recipe, parameters
from lamforge.flow.dummy import PATTERN, DummyRequest
from lamforge.flow.dummy import run as write_dummy
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import generate
from lamforge.flow.offload.compare import BATCHES, CONTENDERS, CONTEXTS, compared
from lamforge.flow.offload.contender import contender
from lamforge.flow.programs import Programs
from lamforge.flow.provenance import peak_memory_mb
from lamforge.flow.simulate import simulate_run
from lamforge.flow.sources import open_checkpoint, open_compressed
from models import compressed as folder
from models.attention import parse
from models.checkpoint import Checkpoint
from models.compress import METHODS
from models.compress.distill import Distill
from models.compress.layer import Layer, Linear
from models.compress.method import Context, Method, Pruning, Quantizer, Transform
from models.compress.methods import name_of
from models.compress.rtn import Rtn
from models.matrices import HEAD
from models.reference.llama import Llama
from models.shaped import random_matrix
from models.zoo import network
from testbenches.simulated import Simulated
from testbenches.verilated import Verilated

__all__ = [
    "Figures",
    "MethodRate",
    "PackingRate",
    "ShapedCompilation",
    "SweepRate",
    "WorkloadSpeed",
    "compile_shaped",
    "measure",
    "method_rates",
    "packing_rates",
    "sweep_rates",
]

_REPEATS = 5
_TOKENS = 16
_PROMPT = "Why is the sky blue?"
_METHODS_PATTERN = "lambda:4+252"
_SEQUENCES, _LENGTH = 4, 512
_SWEEPS = {
    "program": {"context": {"from": 128, "to": 1020, "step": 4}, "engine.tile.tokens": [1, 2], "layers.format": ["w2s", "w4"]},
    "timing": {
        "context": [2048],
        "engine.clock_hz": {"from": 200e6, "to": 300e6, "step": 1e6},
        "engine.fetch.fifo_beats": [256, 512, 1024, 2048, 4096],
        "engine.control.queue_depth": [4, 8],
    },
}
"""Axes of sweeps of Llama-2-7B on u280, by what changes from point to point."""
_POINTS, _WHOLE_POINTS = 64, 3
Value = TypeVar("Value")


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
class SweepRate:
    """How fast exact points of a study are on one core, beside compiling and simulating each design anew.

    Attributes:
        memory: the memory model.
        changes: what differs between the points: `program`, or `timing` alone.
        points_per_s: points of a sweep.
        whole_per_s: designs compiled and simulated by themselves.
    """

    memory: str
    changes: str
    points_per_s: float
    whole_per_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodRate:
    """How fast a method is with its default options: parameters of the matrices it works on, by wall-clock time."""

    method: str
    parameters_per_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackingRate:
    """Dense weights a second in one format: codes into words, and words into the streams of an engine's ports, checked."""

    format: str
    pack_weights_per_s: float
    deal_weights_per_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapedCompilation:
    """One compilation of a shape with random weights, in a process of its own.

    Attributes:
        shape, engine: what was compiled, for what.
        model_bytes, image_bytes: sizes on disk; an image may take less room where files are sparse.
        write_s: seconds to make and write the model.
        compile_s, memory_mb: wall-clock seconds and most memory of the compilation, the start of Python included.
    """

    shape: str
    engine: str
    model_bytes: int
    image_bytes: int
    write_s: float
    compile_s: float
    memory_mb: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured; seconds are wall-clock.

    Attributes:
        engine, cycles: what ran, and how long a decode step of the model is.
        simulator_s, verilator_s: the time model (median of several), and Verilator with the clock alone, on that step.
        meaning_s: the simulator's bits of that step.
        compile_s: the model's programs and image.
        workload: the speed of the time model on a Llama-2-7B decode step on u280, under each memory model.
        sweeps: exact points of studies of it.
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
    sweeps: tuple[SweepRate, ...]
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
    compilation = rate = None
    if shaped is not None:
        say(f"writing and compiling {shaped}")
        compilation = compile_shaped(shaped, "u280", Path("build/bench"))
    say("compression methods")
    checkpoint = open_checkpoint("smollm2-135m")
    methods = method_rates(checkpoint)
    if model is None:
        say("compressing")
        made, seconds = _timed(lambda: folder.create(checkpoint, chosen_recipe("w4a8kv4-fast")))
        rate = parameters(checkpoint) / seconds
    else:
        say("opening the model")
        made = open_compressed(model)
    say("compiling")
    programs, compile_s = _timed(lambda: compiled_model(made, engine))
    program, image = programs.decode, programs.image
    assert image is not None
    say("simulating")
    position = min(program.max_position - 1, program.sinks + program.window)
    speed = _workload_speed(programs, position, IDEAL)
    shape = compile(CompileRequest(workload="llama-2-7b", engine="u280", context=2048))
    workload = tuple(_workload_speed(shape, 2048, memory) for memory in (IDEAL, stalling(1), HBM2))
    say("sweeping")
    sweeps = sweep_rates()
    inputs = Inputs(position=position, rows=made.model.embedding.rows([1]))
    _, meaning_s = _timed(lambda: Simulated(engine).run(program, image, inputs, IDEAL))
    say("building and running the Verilog")
    bench = Verilated(engine)
    bench.build()
    _, log = bench.run(program, image, inputs, IDEAL)
    if log.cycles != speed.cycles:
        say(f"cycles differ: {speed.cycles:,} in the simulator, {log.cycles:,} in Verilator")
    say("generating")
    is_raw = made.tokenizer is None or made.tokenizer.chat_template is None
    answer = generate(made, _PROMPT, max_tokens=_TOKENS, is_raw=is_raw)
    return Figures(
        engine=engine.name,
        cycles=speed.cycles,
        simulator_s=speed.simulate_s,
        verilator_s=bench.run_s,
        build_s=bench.build_s,
        meaning_s=meaning_s,
        compile_s=compile_s,
        workload=workload,
        sweeps=sweeps,
        parameters_per_s=rate,
        methods=methods,
        token_per_s=answer.token_per_s,
        memory_mb=peak_memory_mb(),
        packing=packing,
        shaped=compilation,
        offload_per_s=_offload_rate(),
    )


def sweep_rates() -> tuple[SweepRate, ...]:
    """Return the rates of exact points: designs drawn from a grid, no two alike."""
    return tuple(_sweep_rate(memory, changes) for memory in ("ideal", "hbm2") for changes in _SWEEPS)


def _sweep_rate(memory: str, changes: str) -> SweepRate:
    base = {"network": "llama-2-7b", "engine": "u280", "memory": memory}
    space = Space(study_of({"name": changes, "base": base, "axes": _SWEEPS[changes]}))
    points = np.random.default_rng(0).choice(space.size, _POINTS + 1, replace=False)
    # The first one, which may compile functions, does not count.
    first, *designs = [space.request(int(point)) for point in points]
    exact(*first)
    found, swept_s = _timed(lambda: [exact(*design) for design in designs])
    whole, whole_s = _timed(
        lambda: [
            simulate_run(Programs.of(compile_request(request), request.config.name), memory=model).cycles
            for request, model in designs[:_WHOLE_POINTS]
        ]
    )
    if whole != [point.cycles for point in found[:_WHOLE_POINTS]]:
        raise MachineError(f"Exact points must take the cycles of whole runs, {whole}, not others")
    return SweepRate(memory=memory, changes=changes, points_per_s=_POINTS / swept_s, whole_per_s=_WHOLE_POINTS / whole_s)


def method_rates(checkpoint: Checkpoint) -> tuple[MethodRate, ...]:
    """Return the rate of every method on the first layer of a checkpoint, stored blocks set aside where a method needs none.

    Inputs are random; what they say does not change the work. `distill` has no rate: its work was done elsewhere.
    """
    layer = Layer.of(checkpoint, 0)
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn((_SEQUENCES * _LENGTH, checkpoint.config.hidden), generator=random)
    context = Context(
        geometry=Llama(checkpoint, is_resident=False).geometry,
        pattern=parse(_METHODS_PATTERN),
        cache=CacheFormat.KV4,
        sequence=_LENGTH,
        quantizers=dict.fromkeys((*layer.linears, HEAD), Rtn()),
    )
    return tuple(_method_rate(kind(), layer, inputs, context) for kind in METHODS.values() if kind is not Distill)


@torch.no_grad()
def _method_rate(method: Method, layer: Layer, inputs: torch.Tensor, context: Context) -> MethodRate:
    linear, hessian = layer.linears["gateup"], inputs.T @ inputs
    work: Callable[[], object]
    if isinstance(method, Transform):
        part = method.parts[0]
        linear, work = layer.linears[part], partial(method.applied, layer, part, inputs, context)
    elif isinstance(method, Pruning):
        work = partial(method.pruned, linear.weight, hessian)
    else:
        assert isinstance(method, Quantizer)
        given = linear if name_of(method) == "keep" else Linear(weight=linear.weight)
        work = partial(method.quantized, given, hessian, None)
    return MethodRate(method=name_of(method), parameters_per_s=linear.weight.numel() / _timed(work)[1])


def packing_rates(engine: EngineConfig, *, rows: int = 4096, inputs: int = 4096) -> tuple[PackingRate, ...]:
    """Return the rate of every format on a random matrix, the best of several."""
    return tuple(_packing_rate(format, engine, rows, inputs) for format in WEIGHT_FORMATS)


def _packing_rate(format: Format, engine: EngineConfig, rows: int, inputs: int) -> PackingRate:
    tile = engine.tile
    matrix = random_matrix(format, (rows, inputs), np.random.default_rng(0))
    packed = pack(matrix)

    def deal() -> None:
        packed.check("a random matrix")
        for port in range(tile.ports):
            packed.port_stream(port, tile.slices, tile.slices_per_port)

    pack_s, deal_s = (min(_seconds(work)) for work in (lambda: pack(matrix), deal))
    return PackingRate(
        format=format.name.lower(), pack_weights_per_s=rows * inputs / pack_s, deal_weights_per_s=rows * inputs / deal_s
    )


def compile_shaped(shape: str, engine: str, folder: Path, *, pattern: str = PATTERN) -> ShapedCompilation:
    """Write a shape's random model under `folder`, compile it in another process, and remove both.

    pattern: attention pattern of the model.

    Raises:
        SpecError: the compilation was refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="shaped.") as place:
        model, output = Path(place) / "model", Path(place) / "program"
        _, write_s = _timed(lambda: write_dummy(DummyRequest(shape, output=model, attention=pattern)))
        command = [sys.executable, "-m", "lamforge", "compile", str(model), "--engine", engine, "-o", str(output)]
        run = subprocess.run(
            [sys.executable, "-m", "reports.studies.peak", *command], stdout=subprocess.PIPE, text=True, check=True
        )
        ended = json.loads(run.stdout)
        if ended["code"]:
            raise SpecError(f"Compilation of {shape} must succeed, not end with: {ended['said']}")
        return ShapedCompilation(
            shape=shape,
            engine=engine,
            model_bytes=sum(path.stat().st_size for path in model.iterdir()),
            image_bytes=(output / "image.safetensors").stat().st_size,
            write_s=write_s,
            compile_s=ended["seconds"],
            memory_mb=ended["peak_bytes"] / 1e6,
        )


def _offload_rate() -> float:
    """Return how many systems with a workload are evaluated per second: those of the page, every context and batch of each."""
    asked, sizes = [contender(name) for name in CONTENDERS], network("llama-2-7b")
    seconds = _seconds(lambda: compared(sizes, asked, CONTEXTS, _TOKENS, BATCHES))
    return len(CONTENDERS) * len(CONTEXTS) * len(BATCHES) / statistics.median(seconds)


def _workload_speed(programs: Programs, position: int, memory: MemoryModel) -> WorkloadSpeed:
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


def _seconds(work: Callable[[], object]) -> list[float]:
    """Return the seconds of several runs after one that may compile."""
    return [_timed(work)[1] for _ in range(_REPEATS + 1)][1:]


def _timed(work: Callable[[], Value]) -> tuple[Value, float]:
    """Return what a call returns, and the seconds that it took."""
    began = time.perf_counter()
    value = work()
    return value, time.perf_counter() - began
