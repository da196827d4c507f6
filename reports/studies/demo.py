"""The whole path on a real model as a verb: from its checkpoint to Verilog that computes the same bits in the same cycles."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hwsim.memory.models import memory_model
from hwsim.whole_files import only_writer, write_text
from lamforge.flow.accuracy import Text, accuracy, of_compressed
from lamforge.flow.compile import CompileRequest, compiled_model
from lamforge.flow.compile import run as compile
from lamforge.flow.compress import CompressRequest, chosen_recipe, parameters
from lamforge.flow.compress import run as compress
from lamforge.flow.cosim import MEMORIES, DecodeCase, Verdict, cosimulate
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import GenerateRequest, prompt_tokens
from lamforge.flow.generate import run as generate
from lamforge.flow.provenance import provenance
from lamforge.flow.rtl import RtlRequest
from lamforge.flow.rtl import run as write_verilog
from lamforge.flow.simulate import simulate_run
from lamforge.flow.sources import open_checkpoint
from lamforge.flow.verb import SILENT, Listener, verb
from models.checkpoint import Checkpoint
from models.compressed import CompressedModel
from models.evaluation import evaluation_text
from reports.documents.chrome_trace import write_chrome_trace
from reports.documents.of_result import document_of
from reports.pages.run import write_report
from reports.studies.beside import Beside
from reports.studies.demo_summary import DemoSummary, RecipeResult, StepTime
from reports.text.circuit import verilog_text
from reports.text.evaluation import accuracy_line
from reports.text.model import speed_text
from reports.text.programs import programs_text, timing_line, timing_text
from reports.text.verdict import verdict_text
from testbenches.tools import check_buildable
from testbenches.verilated import Verilated

__all__ = ["DemoRequest", "demo", "run", "verilog_orders"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoRequest:
    """What the demo does, and where it leaves it.

    Attributes:
        output: folder that gets the models, programs, Verilog, timeline.json, summary.json and report.html.
        model, recipe, engine: what is compressed, how, and for which engine it is compiled and co-simulated.
        second: another recipe to stand beside the first, up to its simulation; None for none.
        verilog: engines whose Verilog is written.
        prompt, max_tokens: what is asked, and the most tokens of the answer.
        windows, window: how many windows of the shipped text are predicted, and the tokens of each.
        wrapped: tokens beyond the cache in the second co-simulation, so that the ring has been written over.
        memories: memory models of the co-simulation.
        is_built_early: whether the engine is built in Verilator beside the steps before its use.
        workload, workload_engine, context: a well-known network that is simulated for scale, on which engine, and the
            tokens that its cache keeps.
    """

    output: str | Path = dataclasses.field(default=Path("build/demo"), kw_only=False)
    model: str = "smollm2-135m"
    recipe: str = "smollm2-135m-w2sa8kv4"
    second: str | None = "w4a8kv4"
    engine: str = "small"
    verilog: Sequence[str] = ("small", "u280")
    prompt: str = "Why is the sky blue?"
    max_tokens: int = 40
    windows: int = 4
    window: int = 1024
    wrapped: int = 44
    memories: Sequence[str] = MEMORIES
    is_built_early: bool = True
    workload: str = "llama-2-7b"
    workload_engine: str = "u280"
    context: int = 2048


def run(request: DemoRequest, listener: Listener = SILENT) -> DemoSummary:
    """Take a real model from its checkpoint to Verilog that computes the same bits in the same cycles.

    Nine steps: load, compress, compile, generate, simulate, write Verilog, co-simulate, the same by a second recipe up to
    its simulation, report.

    Raises:
        CheckpointError, SpecError, ScheduleError, ConfigError, MachineError: as the verbs of the steps.
    """
    # Refused before the work rather than in the middle of it.
    check_buildable(Path("build"))
    with only_writer(Path(request.output)):
        return _run(request, Path(request.output), listener)


demo = verb("demo", DemoRequest, run)


def _run(request: DemoRequest, folder: Path, listener: Listener) -> DemoSummary:
    """Take the steps, in a folder that is this command's alone."""
    steps = _Steps(listener, total=8 if request.second is None else 9)
    with steps.step(f"Load {request.model}"):
        checkpoint = open_checkpoint(request.model)
        # Takes no part of the model: done in what the steps leave of the processor.
        orders = verilog_orders(request, folder)
        writing = {Path(order.output).name: Beside(write_verilog, order) for order in orders}
        building = Beside(_built, request.engine) if request.is_built_early else None
        config, tokenizer = checkpoint.config, checkpoint.tokenizer
        vocabulary = "no tokenizer" if tokenizer is None else f"tokenizer of {tokenizer.size:,} tokens"
        listener.say(f"{config.name}: {parameters(checkpoint):,} parameters, {config.layers} layers, {vocabulary}")
    first = _by_recipe(request, request.recipe, checkpoint, folder, steps.step, listener)
    made = first.compression.made
    with steps.step("Simulate cycle by cycle"):
        # The first run after installation compiles the simulator; the decode step, the second, shows its speed.
        prefill, decode = (simulate_run(first.programs, name) for name in ("prefill", "decode"))
        write_chrome_trace(decode, folder / "timeline.json")
        target = CompileRequest(workload=request.workload, engine=request.workload_engine, context=request.context)
        workload = simulate_run(compile(target))
        for line in (timing_text(decode), timing_line(prefill), timing_line(workload)):
            listener.say(line)
    with steps.step(f"Write the Verilog of {' and '.join(request.verilog)}"):
        verilog = {}
        for name, work in writing.items():
            verilog[name] = work.result()
            listener.say(verilog_text(verilog[name]))
        build_s = 0.0 if building is None else building.result()
        if building is not None:
            listener.say(f"{request.engine}: built in Verilator {f'in {build_s:.0f} s' if build_s else 'before'}")
    with steps.step("Co-simulate one whole decode step"):
        verdict = _cosimulated(request, made, build_s, listener)
    second = None
    if request.second is not None:
        with steps.step(f"The same by {request.second}"):
            beside = folder / chosen_recipe(request.second).name
            another = _by_recipe(request, request.second, checkpoint, beside, contextlib.nullcontext, listener)
            second = another, simulate_run(another.programs)
            listener.say(timing_line(second[1]))
    with steps.step("Report"):
        summary = DemoSummary(
            folder=folder,
            steps=tuple(steps.times),
            checkpoint=checkpoint,
            first=first,
            decode=decode,
            prefill=prefill,
            workload=workload,
            second=second,
            verilog=verilog,
            verdict=verdict,
            provenance=provenance(),
        )
        _save(summary)
        page = write_report(folder, listener=listener)
        listener.say(f"{page} ({page.stat().st_size:,} bytes, opens from disk)")
    summary = dataclasses.replace(summary, steps=tuple(steps.times))
    _save(summary)
    return summary


def verilog_orders(request: DemoRequest, folder: Path) -> list[RtlRequest]:
    """Return what is written as Verilog, each engine into a folder of its name."""
    engines = map(chosen_engine, request.verilog)
    return [RtlRequest(engine, output=folder / "verilog" / engine.name, is_linted=True) for engine in engines]


def _built(name: str) -> float:
    """Build an engine in Verilator, where the co-simulation finds it, and return the seconds; runs in another process."""
    bench = Verilated(chosen_engine(name))
    bench.build()
    return bench.build_s


def _save(summary: DemoSummary) -> None:
    write_text(summary.folder / "summary.json", json.dumps(document_of(summary), indent=2) + "\n")


class _Steps:
    """Numbers the steps and takes their seconds."""

    def __init__(self, listener: Listener, total: int) -> None:
        self._listener, self._total = listener, total
        self.times: list[StepTime] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        self._listener.step(len(self.times) + 1, self._total, title)
        began = time.perf_counter()
        yield
        self.times.append(StepTime(title=title, seconds=time.perf_counter() - began))


def _by_recipe(
    request: DemoRequest,
    recipe: str,
    checkpoint: Checkpoint,
    folder: Path,
    step: Callable[[str], contextlib.AbstractContextManager[object]],
    listener: Listener,
) -> RecipeResult:
    """Compress and compile the model by a recipe and let it answer; `step` begins each of these."""
    with step(f"Compress by {recipe}"):
        began = time.perf_counter()
        compression = compress(CompressRequest(checkpoint, output=folder / "model", recipe=recipe), listener)
        made, compress_s = compression.made, time.perf_counter() - began
        name, content = "the shipped encyclopedia text", evaluation_text()
        text = Text(name=name, content=content, window=request.window, windows=request.windows)
        measured = accuracy(of_compressed(made, checkpoint), text, listener)
        listener.say(accuracy_line(measured))
    with step(f"Compile for {request.engine}"):
        began = time.perf_counter()
        programs = compiled_model(made, chosen_engine(request.engine), output=folder / "program", listener=listener)
        compile_s = time.perf_counter() - began
        listener.say(programs_text(programs))
    with step("Generate in the engine's integers"):
        listener.say(f"> {request.prompt}")
        is_raw = made.tokenizer is None or made.tokenizer.chat_template is None
        reply = generate(GenerateRequest(made, request.prompt, max_tokens=request.max_tokens, is_raw=is_raw), listener)
        listener.say(speed_text(reply))
    return RecipeResult(
        compression=compression, compress_s=compress_s, accuracy=measured, programs=programs, compile_s=compile_s, reply=reply
    )


def _cosimulated(request: DemoRequest, made: CompressedModel, build_s: float, listener: Listener) -> Verdict:
    """Return the verdict on a decode step after the prompt, and on one whose cache has been written over.

    build_s: seconds that the engine took in Verilator, where that was before.
    """
    assert made.tokenizer is not None
    text = made.tokenizer.encode_whole(evaluation_text())[: made.model.sinks + made.model.window + request.wrapped]
    cases = [
        DecodeCase(name="prompt", tokens=tuple(prompt_tokens(made, request.prompt))),
        DecodeCase(name="text longer than the cache", tokens=tuple(text)),
    ]
    memories = [memory_model(name) for name in request.memories]
    verdict = cosimulate(made, chosen_engine(request.engine), cases=cases, memories=memories, listener=listener)
    result = dataclasses.replace(verdict.result, build_s=verdict.result.build_s or build_s)
    verdict = dataclasses.replace(verdict, result=result)
    listener.say(verdict_text(verdict))
    return verdict
