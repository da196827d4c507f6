"""The demo's steps on a tiny model, its summary, and the page made of it: complete, and in need of nothing else."""

import json
import re
from pathlib import Path

import pytest

import reports.studies.demo
from hwsim.memory.models import IDEAL, MemoryModel
from lamforge.flow.cosim import Text, Verdict
from reports.pages.run import render, write_report
from reports.studies.demo import Plan, Summary, run_demo
from testbenches.cosim import Case, CosimResult
from tests.reports.test_pictures import check_markup
from tests.reports.tiny_folder import RECIPE, write_checkpoint, write_recipe


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.lines: list[str] = []
        self.streamed = ""
        self.bars: set[str] = set()

    def step(self, number: int, total: int, title: str) -> None:
        assert (number, total) == (len(self.titles) + 1, 9)
        self.titles.append(title)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def stream(self, piece: str) -> None:
        self.streamed += piece

    def progress(self, name: str, fraction: float) -> None:
        assert 0 <= fraction <= 1
        self.bars.add(name)


def verdict(texts: list[Text], memories: list[MemoryModel], *, mismatches: int = 0) -> Verdict:
    """Return a verdict as a co-simulation of `texts` gives it."""
    cases = tuple(
        Case(
            memory=str(memory),
            position=len(text.tokens) - 1,
            compared=1000,
            mismatches=mismatches,
            instructions_compared=90,
            cycle_difference=0,
            cycles=11000,
            verilator_s=0.5,
            simulator_s=0.01,
            first="Dot of node layers.0.qkv differs" if mismatches else None,
        )
        for text in texts
        for memory in memories
    )
    return Verdict(
        model="tiny",
        texts=tuple(texts),
        sinks=4,
        window=12,
        result=CosimResult(engine="tiny", build_s=20.0, cases=cases),
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("source")
    second = folder / "second.yaml"
    second.write_text(RECIPE.replace("w4", "w8"))
    return Plan(
        model=str(write_checkpoint(folder / "hf")),
        recipe=str(write_recipe(folder / "recipe.yaml")),
        second=str(second),
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


@pytest.fixture(scope="module")
def ran(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary, Heard]:
    """The demo's folder, summary and listener; the co-simulation itself is tested in tests/testbenches."""
    folder, heard = tmp_path_factory.mktemp("demo") / "demo", Heard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.studies.demo, "cosimulate", lambda made, engine, *, texts, memories, progress: verdict(texts, memories))
        summary = run_demo(folder, heard, plan)
    return folder, summary, heard


def test_the_demo_leaves_what_it_promises(ran: tuple[Path, Summary, Heard]) -> None:
    folder, summary, heard = ran
    assert {path.name for path in folder.iterdir()} == {
        "model",
        "program",
        "second",
        "verilog",
        "timeline.json",
        "summary.json",
        "report.html",
    }
    assert summary.is_equal
    assert json.loads((folder / "summary.json").read_text()) == summary.document
    assert heard.titles[0].startswith("Load ")
    assert heard.titles[-1] == "Report"
    assert {"layers", "image", "integers"} <= heard.bars
    assert heard.streamed == summary.document["generation"]["text"] + summary.document["second"]["generation"]["text"]
    assert any("hf: 98,6" in line or "parameters" in line for line in heard.lines)


def test_the_summary_has_the_keys_of_the_commands(ran: tuple[Path, Summary, Heard]) -> None:
    document = ran[1].document
    assert {"perplexity", "float_perplexity", "dense_perplexity", "tokens"} <= document["accuracy"].keys()
    assert {"cycles", "causes", "token_per_s"} <= document["simulation"]["decode"].keys()
    keys = {"mismatches", "compared", "cycle_difference", "instructions_compared", "cycles", "verilator_cycles_per_s"}
    assert keys <= document["cosim"].keys()
    assert [text["ring_wraps"] for text in document["cosim"]["texts"]] == [0, 1]
    assert document["verilog"]["tiny"]["lint"] == "clean"
    assert len(document["steps"]) == 9
    second = document["second"]
    assert second["model"]["fingerprint"] != document["model"]["fingerprint"]
    assert second["accuracy"]["text_digest"] == document["accuracy"]["text_digest"]
    assert second["decode"]["cycles"] != document["simulation"]["decode"]["cycles"]
    assert document["provenance"]["versions"]["torch"]


def check_alone(page: str) -> None:
    """Check that a page loads nothing and links only beside itself."""
    assert "://" not in page
    assert not re.search(r"<(script|link|img|iframe|object|embed)\b|@import|url\(|javascript:", page)
    for target in re.findall(r'\b(?:href|src|srcset|data|action)="([^"]*)"', page):
        assert target.startswith("#") or target == "timeline.json" or target.startswith("verilog/")


def test_the_report_stands_alone(ran: tuple[Path, Summary, Heard]) -> None:
    page = (ran[0] / "report.html").read_text()
    check_alone(page)
    check_markup(page)
    sections = ("model", "recipes", "program", "utilization", "roofline", "timeline", "cosim", "verilog", "reply", "provenance")
    for section in sections:
        assert f'<section id="{section}">' in page
    assert "The Verilog computes the same bits in the same cycles." in page
    assert page.count("<svg") == 3


def test_a_report_of_programs_alone(ran: tuple[Path, Summary, Heard], tmp_path: Path) -> None:
    page = write_report(ran[0] / "program", tmp_path / "report.html").read_text()
    check_alone(page)
    check_markup(page)
    assert '<section id="roofline">' in page
    assert '<section id="cosim">' not in page


def test_a_difference_is_shown_first(ran: tuple[Path, Summary, Heard]) -> None:
    texts = [Text(name="prompt", tokens=(1, 2, 3))]
    found = verdict(texts, [IDEAL], mismatches=7)
    assert not found.is_equal
    page = render(ran[1].document | {"cosim": found.document()}, {})
    assert "The Verilog differs: Dot of node layers.0.qkv differs" in page
    assert "computes the same bits" not in page


def test_what_a_model_says_is_not_markup(ran: tuple[Path, Summary, Heard]) -> None:
    generation = ran[1].document["generation"] | {"text": "<script>alert(1)</script>"}
    page = render(ran[1].document | {"generation": generation}, {})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
