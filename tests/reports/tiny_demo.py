"""The demo on a tiny model, with a co-simulation that is told what to find: the real one takes minutes."""

from pathlib import Path

import pytest

import reports.studies.demo
from hwsim.arch.config import EngineConfig
from hwsim.memory.models import MemoryModel
from lamforge.flow.cosim import DecodeCase, Verdict
from lamforge.flow.verb import Listener
from models.compressed import CompressedModel
from reports.studies.demo import DemoRequest, run
from reports.studies.demo_summary import DemoSummary
from testbenches.cosim import Case, CosimResult
from tests.reports.tiny_folder import RECIPE, write_checkpoint, write_recipe

__all__ = ["Heard", "demo_of", "tiny_demo", "write_sources"]


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.lines: list[str] = []
        self.streamed = ""
        self.bars: set[str] = set()

    def step(self, number: int, total: int, title: str) -> None:
        assert (number, total) == (len(self.titles) + 1, 9)
        self.titles.append(title)

    def say(self, sentence: str) -> None:
        self.lines.append(sentence)

    def stream(self, piece: str) -> None:
        self.streamed += piece

    def progress(self, name: str, fraction: float) -> None:
        assert 0 <= fraction <= 1
        self.bars.add(name)


def verdict(
    made: CompressedModel,
    engine: EngineConfig,
    *,
    cases: list[DecodeCase],
    memories: list[MemoryModel],
    listener: Listener,
    mismatches: int = 0,
) -> Verdict:
    """Return a verdict as a co-simulation of `cases` gives it."""
    found = tuple(
        Case(
            memory=str(memory),
            position=case.position,
            compared=1000,
            mismatches=mismatches,
            instructions_compared=90,
            cycle_difference=0,
            cycles=11000,
            verilator_s=0.5,
            simulator_s=0.01,
            first="Dot of node layers.0.qkv differs" if mismatches else None,
        )
        for case in cases
        for memory in memories
    )
    result = CosimResult(engine=engine.name, build_s=20.0, cases=found)
    return Verdict(model=made.model.config.name, cases=tuple(cases), sinks=4, window=12, result=result)


def write_sources(folder: Path) -> None:
    """Write what the demo is made of: a checkpoint and two recipes."""
    folder.mkdir()
    write_checkpoint(folder / "hf")
    write_recipe(folder / "recipe.yaml")
    (folder / "second.yaml").write_text(RECIPE.replace("w4", "w8"))


def demo_of(source: Path, output: Path, heard: Listener) -> DemoSummary:
    """Run the demo on what `write_sources` wrote, into a folder; return its summary."""
    request = DemoRequest(
        output,
        model=str(source / "hf"),
        recipe=str(source / "recipe.yaml"),
        second=str(source / "second.yaml"),
        engine="tiny",
        verilog=("tiny",),
        prompt="Beat?",
        max_tokens=5,
        windows=1,
        window=48,
        wrapped=3,
        is_built_early=False,
        workload="smollm2-135m",
        workload_engine="small",
        context=64,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.studies.demo, "cosimulate", verdict)
        return run(request, heard)


def tiny_demo(folder: Path) -> tuple[DemoSummary, Heard]:
    """Run the demo into a folder within `folder`; return its summary and what its listener was told."""
    write_sources(folder / "source")
    heard = Heard()
    return demo_of(folder / "source", folder / "demo", heard), heard
