"""Knows the steps of the demo: what is done with the real model, in which order, and what each step found."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hwsim.arch.isa import Format
from hwsim.memory.models import memory_model
from hwsim.whole_files import whole_file
from lamforge.flow.accuracy import Text, accuracy
from lamforge.flow.compile import compiled
from lamforge.flow.compress import chosen_recipe, compress, model_document, parameters
from lamforge.flow.contestants import of_compressed
from lamforge.flow.cosim import MEMORIES, Verdict, cosimulate
from lamforge.flow.cosim import Text as Case
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import prompt_tokens, reply
from lamforge.flow.programs import Programs
from lamforge.flow.provenance import provenance
from lamforge.flow.rtl import write_verilog
from lamforge.flow.simulation import Simulation, compiled_workload, simulate, workload_request
from lamforge.flow.sources import open_checkpoint
from models.checkpoint import Checkpoint
from models.compressed import CompressedModel
from models.evaluation import evaluation_text
from models.generate import Sampling
from reports.documents.chrome_trace import write_chrome_trace
from reports.pages.run import write_report
from reports.studies.beside import Beside
from reports.text.tables import (
    accuracy_line,
    program_text,
    reply_text,
    simulation_line,
    simulation_text,
    verdict_text,
    verilog_text,
)
from testbenches.verilated import Verilated

__all__ = ["Listener", "Plan", "Summary", "run_demo"]


class Listener(Protocol):
    """Whom the demo tells what it does."""

    def step(self, number: int, total: int, title: str) -> None:
        """A step begins."""

    def say(self, text: str) -> None:
        """A result."""

    def stream(self, piece: str) -> None:
        """A piece of text as it is generated."""

    def progress(self, name: str, fraction: float) -> None:
        """How far something has come."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What the demo does.

    Attributes:
        model, recipe, engine: what is compressed, how, and for which engine it is compiled and co-simulated.
        second: another recipe to stand beside the first, up to its simulation; None for none.
        verilog: engines whose Verilog is written.
        prompt, max_tokens: what is asked, and how long the answer may be.
        windows, window: how much of the shipped text is predicted.
        wrapped: tokens beyond the cache in the second co-simulation, so that the ring has been written over.
        memories: memory models of the co-simulation.
        is_built_early: whether the engine is built in Verilator beside the steps before its use.
        workload, workload_engine, context: a well-known shape simulated beside the model, for scale.
    """

    model: str = "smollm2-135m"
    recipe: str = "smollm2-135m-w2sa8kv4"
    second: str | None = "w4a8kv4"
    engine: str = "small"
    verilog: tuple[str, ...] = ("small", "u280")
    prompt: str = "Why is the sky blue?"
    max_tokens: int = 40
    windows: int = 4
    window: int = 1024
    wrapped: int = 44
    memories: tuple[str, ...] = MEMORIES
    is_built_early: bool = True
    workload: str = "llama-2-7b"
    workload_engine: str = "u280"
    context: int = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What the demo found, as plain values, and whether the co-simulation found no difference."""

    document: dict[str, Any]
    is_equal: bool


def run_demo(folder: Path, listener: Listener, plan: Plan | None = None) -> Summary:
    """Run every step and return the summary; `folder` gets model, program, verilog, timeline, summary and report."""
    return _Demo(folder, listener, Plan() if plan is None else plan).run()


def _written(name: str, folder: Path) -> dict[str, Any]:
    """Write and lint the Verilog of an engine; runs in another process."""
    return write_verilog(chosen_engine(name), folder, is_linted=True)


def _built(name: str) -> float:
    """Build an engine in Verilator, where the co-simulation finds it, and return the seconds; runs in another process."""
    bench = Verilated(chosen_engine(name))
    bench.build()
    return bench.build_s


class _Demo:
    """One run: what the steps so far have made."""

    def __init__(self, folder: Path, listener: Listener, plan: Plan) -> None:
        self._folder, self._listener, self._plan = folder, listener, plan
        self._engine = chosen_engine(plan.engine)
        self._document: dict[str, Any] = {}
        self._checkpoint: Checkpoint
        self._made: CompressedModel
        self._programs: Programs
        self._verdict: Verdict
        self._writing: dict[str, Beside[dict[str, Any]]] = {}
        self._building: Beside[float] | None = None
        self._build_s = 0.0

    def run(self) -> Summary:
        plan = self._plan
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            (f"Load {plan.model}", self._load),
            (f"Compress by {plan.recipe}", self._compress),
            (f"Compile for {plan.engine}", self._compile),
            ("Generate in the engine's integers", self._generate),
            ("Simulate cycle by cycle", self._simulate),
            (f"Write the Verilog of {' and '.join(plan.verilog)}", self._write_verilog),
            ("Co-simulate one whole decode step", self._cosimulate),
            *([] if plan.second is None else [(f"The same by {plan.second}", self._compare)]),
            ("Report", self._report),
        )
        seconds: list[dict[str, Any]] = []
        self._document["steps"] = seconds
        for number, (title, step) in enumerate(steps, start=1):
            self._listener.step(number, len(steps), title)
            began = time.perf_counter()
            step()
            seconds.append({"title": title, "seconds": time.perf_counter() - began})
        self._save()
        return Summary(document=self._document, is_equal=self._verdict.is_equal)

    def _load(self) -> None:
        self._checkpoint = open_checkpoint(self._plan.model)
        # Takes no part of the model: done in what the steps leave of the processor.
        self._writing = {name: Beside(_written, name, self._folder / "verilog" / name) for name in self._plan.verilog}
        self._building = Beside(_built, self._plan.engine) if self._plan.is_built_early else None
        config, tokenizer = self._checkpoint.config, self._checkpoint.tokenizer
        count = parameters(self._checkpoint)
        vocabulary = "no tokenizer" if tokenizer is None else f"tokenizer of {tokenizer.size:,} tokens"
        self._document["checkpoint"] = {
            "name": config.name,
            "parameters": count,
            "source": Path(self._checkpoint.source).name,
            "digest": self._checkpoint.digest,
        }
        self._listener.say(f"{config.name}: {count:,} parameters, {config.layers} layers, {vocabulary}")

    def _compress(self) -> None:
        self._made, found = self._compressed(self._plan.recipe, self._folder / "model")
        self._document |= found

    def _compressed(self, name: str, output: Path) -> tuple[CompressedModel, dict[str, Any]]:
        """Return the model by a recipe, and what there is to say of it and of its perplexity."""
        progress = self._listener.progress
        began = time.perf_counter()
        made = compress(self._checkpoint, chosen_recipe(name), output, lambda fraction: progress("layers", fraction))
        model = model_document(made, output)
        model["compress_s"] = time.perf_counter() - began
        text = Text(
            name="the shipped encyclopedia text",
            content=evaluation_text(),
            window=self._plan.window,
            windows=self._plan.windows,
        )
        measured = accuracy(of_compressed(made, self._checkpoint), text, progress).document()
        self._listener.say(accuracy_line(measured))
        return made, {"model": model, "accuracy": measured}

    def _compile(self) -> None:
        self._programs, self._document["program"] = self._compiled(self._made, self._folder / "program")

    def _compiled(self, made: CompressedModel, output: Path) -> tuple[Programs, dict[str, Any]]:
        progress = self._listener.progress
        began = time.perf_counter()
        programs = compiled(made, self._engine, progress=lambda fraction: progress("image", fraction), output=output)
        document = programs.document() | {"compile_s": time.perf_counter() - began}
        self._listener.say(program_text(document))
        return programs, document

    def _generate(self) -> None:
        self._document["generation"] = self._answer(self._made)

    def _answer(self, made: CompressedModel) -> dict[str, Any]:
        self._listener.say(f"> {self._plan.prompt}")
        answer = reply(
            made,
            self._plan.prompt,
            max_tokens=self._plan.max_tokens,
            sampling=Sampling(),
            is_raw=made.tokenizer is None or made.tokenizer.chat_template is None,
            say=self._listener.stream,
        ).document()
        self._listener.say(reply_text(answer))
        return answer

    def _simulate(self) -> None:
        plan = self._plan
        # The first run after installation compiles the simulator; the decode step, the second, shows its speed.
        prefill = simulate(self._programs, "prefill")
        decode = simulate(self._programs, "decode")
        write_chrome_trace(decode, self._folder / "timeline.json")
        engine = chosen_engine(plan.workload_engine)
        shape = compiled_workload(workload_request(plan.workload, engine, context=plan.context, layers=Format.W2S))
        scale: Simulation = simulate(shape)
        self._document["simulation"] = {
            "decode": decode.document(),
            "prefill": prefill.document(),
            "workload": scale.document(),
        }
        self._listener.say(simulation_text(decode.document()))
        for other in (prefill, scale):
            self._listener.say(simulation_line(other.document()))

    def _write_verilog(self) -> None:
        """Show what was begun beside the steps before: the Verilog of every engine, and the one that is simulated next."""
        written = {}
        for name, work in self._writing.items():
            written[name] = work.result() | {"folder": f"verilog/{name}"}
            self._listener.say(verilog_text(written[name]))
        if self._building is not None:
            self._build_s = self._building.result()
            took = f"in {self._build_s:.0f} s" if self._build_s else "before"
            self._listener.say(f"{self._plan.engine}: built in Verilator {took}")
        self._document["verilog"] = written

    def _cosimulate(self) -> None:
        made, plan = self._made, self._plan
        assert made.tokenizer is not None
        length = made.model.sinks + made.model.window + plan.wrapped
        text = made.tokenizer.encode(evaluation_text())[:length]
        is_raw = made.tokenizer.chat_template is None
        cases = [
            Case(name="prompt", tokens=tuple(prompt_tokens(made, plan.prompt, is_raw=is_raw))),
            Case(name="text longer than the cache", tokens=tuple(text)),
        ]
        self._verdict = cosimulate(
            made,
            self._engine,
            texts=cases,
            memories=[memory_model(name) for name in plan.memories],
            progress=self._listener.say,
        )
        verdict = self._verdict.document()
        self._document["cosim"] = verdict | {"build_s": verdict["build_s"] or self._build_s}
        self._listener.say(verdict_text(self._document["cosim"]))

    def _compare(self) -> None:
        """Take the second recipe as far as the simulation, for what it costs and gains beside the first."""
        assert self._plan.second is not None
        folder = self._folder / chosen_recipe(self._plan.second).name
        made, found = self._compressed(self._plan.second, folder / "model")
        programs, found["program"] = self._compiled(made, folder / "program")
        found["generation"] = self._answer(made)
        found["decode"] = simulate(programs, "decode").document()
        self._listener.say(simulation_line(found["decode"]))
        self._document["second"] = found

    def _report(self) -> None:
        self._document["provenance"] = provenance()
        self._save()
        path = write_report(self._folder)
        self._listener.say(f"{path} ({path.stat().st_size:,} bytes, opens from disk)")

    def _save(self) -> None:
        with whole_file(self._folder / "summary.json") as part:
            part.write_text(json.dumps(self._document, indent=2) + "\n")
