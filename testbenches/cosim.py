"""The verdict on a model: one decode step on the Verilog against PyTorch's integer reference and against the simulator."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from compiler.cache import read_cache, write_cache
from compiler.model import compile_model
from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig
from hwsim.arch.program import MemoryImage
from hwsim.errors import SpecError
from hwsim.host.inputs import Inputs
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL, MemoryModel
from models.integer import IntegerModel, IntegerReference
from models.integer.cache import State
from models.integer.ops import KvEntry
from testbenches.backend import Outputs
from testbenches.compare import compare_logs
from testbenches.host.backend import HostedVerilog
from testbenches.simulated import Simulated
from testbenches.verilated import Verilated

__all__ = ["Case", "CosimResult", "PreparedStep", "against_reference", "cosim", "differences", "prepare_step"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PreparedStep:
    """One decode step.

    Attributes:
        image: memory before it, with the reference's cache.
        inputs: inputs of the run.
        logits: int32 [vocab], the reference's.
        state: the reference's, after the step.
    """

    image: MemoryImage
    inputs: Inputs
    logits: np.ndarray
    state: State


def prepare_step(reference: IntegerReference, compiled: Compiled, tokens: Sequence[int]) -> PreparedStep:
    """Return the step of the last token, after those before it; `compiled` has an image."""
    state = reference.open()
    if len(tokens) > 1:
        reference.prefill(state, tokens[:-1])
    assert compiled.image is not None
    image = compiled.image.copy()
    write_cache(image, compiled.memory, compiled.request.engine, state)
    inputs = Inputs(position=state.length, rows=reference.model.embedding.rows([tokens[-1]]))
    return PreparedStep(image=image, inputs=inputs, logits=reference.step(state, tokens[-1]), state=state)


Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One decode step under one memory model.

    Attributes:
        memory: name of the memory model.
        position: position of the token.
        compared, mismatches: values compared with the reference (logits, cache) and with the simulator (every drained
            word, every activation code), and those that differ.
        instructions_compared, cycle_difference: see testbenches.compare.
        cycles: length of the step.
        verilator_s, simulator_s: seconds of the Verilator run and of the simulator's time model, once compiled.
        first: the first difference as a sentence, or None.
    """

    memory: str
    position: int
    compared: int
    mismatches: int
    instructions_compared: int
    cycle_difference: int
    cycles: int
    verilator_s: float
    simulator_s: float
    first: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosimResult:
    """The cases of a co-simulation; sums and worst cases over them."""

    engine: str
    build_s: float
    cases: tuple[Case, ...]

    @property
    def mismatches(self) -> int:
        """Values that differ."""
        return sum(case.mismatches for case in self.cases)

    @property
    def compared(self) -> int:
        """Values compared."""
        return sum(case.compared for case in self.cases)

    @property
    def cycle_difference(self) -> int:
        """Largest difference of a cycle: of a total, a dispatch, an issue or a retirement."""
        return max(case.cycle_difference for case in self.cases)

    @property
    def instructions_compared(self) -> int:
        """Instructions whose cycles were compared."""
        return sum(case.instructions_compared for case in self.cases)

    @property
    def cycles(self) -> int:
        """Cycles of the first case."""
        return self.cases[0].cycles

    @property
    def verilator_cycles_per_s(self) -> float:
        """Speed of Verilator over all cases."""
        return sum(case.cycles for case in self.cases) / sum(case.verilator_s for case in self.cases)

    @property
    def simulator_s(self) -> float:
        """Seconds of the simulator's time model in the first case."""
        return self.cases[0].simulator_s

    @property
    def simulator_cycles_per_s(self) -> float:
        """Speed of the simulator's time model in the first case."""
        return self.cycles / self.simulator_s

    @property
    def first(self) -> str | None:
        """The first difference as a sentence, or None."""
        return next((case.first for case in self.cases if case.first is not None), None)


def cosim(
    model: IntegerModel,
    engine: EngineConfig,
    *,
    texts: Sequence[Sequence[int]],
    memories: Sequence[MemoryModel] = (IDEAL,),
    folder: Path = Path("build/verilator"),
    verilated: Verilated | HostedVerilog | None = None,
    progress: Progress = lambda text: None,
) -> CosimResult:
    """Run the last token of every text, after the tokens before it, under every memory model; compare everything.

    The cache before the step is the reference's. Raises SpecError for an empty text, ScheduleError for a model the
    engine cannot hold, MachineError when the Verilog does not build or run.
    """
    if not texts or any(len(text) == 0 for text in texts):
        raise SpecError("Texts of a co-simulation must have at least one token, not none")
    context = max(len(text) for text in texts)
    progress("compiling")
    compiled = compile_model(model, engine, context=context)
    bench = verilated if verilated is not None else Verilated(engine, folder)
    progress("building the Verilog in Verilator")
    bench.build()
    simulator, reference = Simulated(engine), IntegerReference(model)
    cases: list[Case] = []
    for text in texts:
        progress(f"reference: {len(text)} tokens in PyTorch's integers")
        step = prepare_step(reference, compiled, text)
        cases += [_case(step, compiled, simulator, bench, memory, progress) for memory in memories]
    return CosimResult(engine=engine.name, build_s=bench.build_s, cases=tuple(cases))


def _case(
    step: PreparedStep,
    compiled: Compiled,
    simulator: Simulated,
    bench: Verilated | HostedVerilog,
    memory: MemoryModel,
    progress: Progress,
) -> Case:
    """Run a step under a memory model on both machines, and the simulator's time model once more, compiled by then."""
    program, image, inputs, engine = compiled.decode, step.image, step.inputs, simulator.engine
    progress(f"position {inputs.position}, memory {memory}: simulator")
    expected, log = simulator.run(program, image, inputs, memory)
    progress(f"position {inputs.position}, memory {memory}: Verilog")
    began = time.perf_counter()
    found, measured = bench.run(program, image, inputs, memory)
    verilator_s = bench.run_s or time.perf_counter() - began
    verdict = compare_logs(program, engine, log, measured, ("simulator", "Verilog"))
    outputs = [
        *against_reference("simulator", expected, step, compiled),
        *against_reference("Verilog", found, step, compiled),
        ("memory after the run", *differences(image, expected.image, found.image)),
    ]
    wrong = next((f"{what}: {count} of {total} values differ" for what, total, count in outputs if count), None)
    trace = run_control(program.words, position=inputs.position, slot=program.slot_of(inputs.position, inputs.sequence))
    began = time.perf_counter()
    run_time(trace, engine, memory)
    return Case(
        memory=str(memory),
        position=inputs.position,
        compared=verdict.compared + sum(total for _, total, _ in outputs),
        mismatches=verdict.mismatches + sum(count for _, _, count in outputs),
        instructions_compared=verdict.instructions,
        cycle_difference=verdict.cycle_difference,
        cycles=log.cycles,
        verilator_s=verilator_s,
        simulator_s=time.perf_counter() - began,
        first=verdict.first or wrong,
    )


def against_reference(who: str, outputs: Outputs, step: PreparedStep, compiled: Compiled) -> list[tuple[str, int, int]]:
    """Return (what, values, differences) of logits, keys and values against the reference."""
    logits, state = step.logits, step.state
    found = [(f"logits of the {who} against the reference", logits.size, int((outputs.logits[: logits.size] != logits).sum()))]
    keys, values = read_cache(outputs.image, compiled.memory, compiled.request.engine, state)
    slots = np.arange(sum(state.valid(state.length)))
    for what, entries, caches in (("keys", keys, state.keys), ("values", values, state.values)):
        total, wrong = 0, 0
        for entry, cache in zip(entries, caches, strict=True):
            for ours, theirs in zip(_arrays(cache.read(slots)), _arrays(entry), strict=True):
                total += ours.size
                wrong += int((ours != theirs).sum())
        found.append((f"{what} in the cache of the {who} against the reference", total, wrong))
    return found


def _arrays(entry: KvEntry) -> tuple[np.ndarray, ...]:
    codes, (mantissa, exponent), zero = entry
    return codes, mantissa, exponent, zero


def differences(before: MemoryImage, expected: MemoryImage, found: MemoryImage) -> tuple[int, int]:
    """Return how many bytes either run wrote with a new value, and how many of all bytes differ between the runs."""
    written, wrong = 0, 0
    for old, ours, theirs in ((before.ports, expected.ports, found.ports), (before.side, expected.side, found.side)):
        written += int(((ours != old) | (theirs != old)).sum())
        wrong += int((ours != theirs).sum())
    return written, wrong
