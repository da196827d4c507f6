"""The demo's steps on a tiny model, its summary, and the page made of it: complete, and in need of nothing else."""

import dataclasses
import json
import re
from pathlib import Path

import jinja2
import pytest

from hwsim.arch.board import RESOURCES
from hwsim.errors import ConfigError, SpecError
from hwsim.memory.models import HBM2, IDEAL
from lamforge.flow.programs import Programs
from lamforge.flow.provenance import provenance
from lamforge.flow.simulate import simulate_run
from reports.documents.demo import demo_document
from reports.documents.of_result import document_of
from reports.documents.summary import Summary, load_summary
from reports.pages import report
from reports.pages.run import folder_page, write_report
from reports.studies.demo_summary import DemoSummary
from tests.reports.test_pictures import check_markup
from tests.reports.tiny_demo import Heard
from tests.reports.tiny_fit import u280_fit


def test_the_demo_leaves_what_it_promises(ran: tuple[DemoSummary, Heard]) -> None:
    summary, heard = ran
    assert {path.name for path in summary.folder.iterdir()} == {
        "model",
        "program",
        "second",
        "verilog",
        "timeline.json",
        "summary.json",
        "report.html",
    }
    assert summary.is_equal
    assert json.loads((summary.folder / "summary.json").read_text()) == document_of(summary)
    assert heard.titles[0].startswith("Load ")
    assert heard.titles[-1] == "Report"
    assert {"layers", "image", "integers"} <= heard.bars
    assert summary.second is not None
    assert heard.streamed == summary.first.reply.text + summary.second[0].reply.text
    assert heard.lines[0].startswith("hf: 115,264 parameters, 2 layers, tokenizer of ")
    assert heard.lines[-1].endswith(" bytes, opens from disk)")


def test_the_summary_has_the_keys_of_the_commands(ran: tuple[DemoSummary, Heard]) -> None:
    document = demo_document(ran[0])
    assert list(document) == [
        "steps",
        "checkpoint",
        "model",
        "accuracy",
        "program",
        "generation",
        "simulation",
        "verilog",
        "cosim",
        "second",
        "provenance",
    ]
    assert {"perplexity", "float_perplexity", "dense_perplexity", "tokens"} <= document["accuracy"].keys()
    assert {"cycles", "causes", "token_per_s"} <= document["simulation"]["decode"].keys()
    keys = {"mismatches", "compared", "cycle_difference", "instructions_compared", "cycles", "verilator_cycles_per_s"}
    assert keys <= document["cosim"].keys()
    assert [text["ring_wraps"] for text in document["cosim"]["texts"]] == [0, 1]
    assert (document["verilog"]["tiny"]["lint"], document["verilog"]["tiny"]["folder"]) == ("clean", "verilog/tiny")
    assert len(document["steps"]) == 9
    second = document["second"]
    assert list(second) == ["model", "accuracy", "program", "generation", "decode"]
    assert "folder" not in document["model"]
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


def test_the_report_stands_alone(ran: tuple[DemoSummary, Heard]) -> None:
    page = ran[0].page.read_text()
    check_alone(page)
    check_markup(page)
    sections = (
        "model",
        "recipes",
        "program",
        "utilization",
        "roofline",
        "timeline",
        "power",
        "board",
        "cosim",
        "verilog",
        "reply",
        "provenance",
    )
    for section in sections:
        assert f'<section id="{section}">' in page
    assert "The Verilog computes the same bits in the same cycles." in page
    # Roofline, timelines, and the floorplan of the engine, whose Verilog is in the folder too, once.
    assert page.count("<svg") == 4


def test_a_report_of_programs_alone(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    page = write_report(ran[0].folder / "program", tmp_path / "report.html").read_text()
    check_alone(page)
    check_markup(page)
    assert "<h1>hf on tiny</h1>" in page
    assert '<section id="roofline">' in page
    assert '<section id="cosim">' not in page
    drawn = simulate_run(ran[0].first.programs).energy
    assert f"draws {drawn.card_w:,.1f} W of a card (u280), {drawn.token_per_joule:,.2f} token/J, with memory model ideal." in page
    assert "<h3>tiny on AMD Alveo U280</h3>" in page


def test_a_report_of_verilog_alone(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    heard = Heard()
    page = report.folder(ran[0].folder / "verilog" / "tiny", tmp_path / "report.html", listener=heard).read_text()
    check_alone(page)
    check_markup(page)
    assert "<h1>Engine tiny</h1>" in page
    assert re.findall(r'<section id="(\w+)">', page) == ["board", "provenance"]
    assert heard.lines == ["Counting the wires of tiny between the SLRs of u280"]


def test_the_board_has_every_part_slr_and_wire() -> None:
    found = u280_fit()
    page = folder_page(Summary(provenance=dataclasses.asdict(provenance())), fits=[found], is_kept=False)
    check_alone(page)
    check_markup(page)
    assert found.picture in page
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", page)]
    synthesis, fill = found.synthesis, found.board.fill.value
    for part in synthesis.parts:
        assert [f"{part.unit}.{part.name}", f"{part.count}", *(f"{part.resources[name]:,.0f}" for name in RESOURCES)] in cells
    for slr in synthesis.slrs:
        counts = [f"{slr.used[name]:,.0f} ({100 * slr.shares[name]:,.1f} %)" for name in RESOURCES]
        assert [slr.name, f"{slr.tiles}", *counts] in cells
        for name, count in zip(RESOURCES, counts, strict=True):
            assert (f'bad-text">{count}<' in page) == (slr.shares[name] > fill.share(name))
    assert ["SLR0 to SLR1", "14,000", "23,040", "60.8 %", "13,824"] in cells
    assert ["SLR1 to SLR2", "9,000", "23,040", "39.1 %", "13,824"] in cells
    assert 'bad-text">60.8 %<' in page and 'bad-text">39.1 %<' not in page
    assert f"the card draws at most {found.most.card_w:,.0f} W" in page


def test_a_report_is_of_the_memory_that_it_is_asked_for(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    place, output = ran[0].folder / "program", tmp_path / "report.html"
    programs = Programs.load(place)
    speeds = {str(memory): simulate_run(programs, memory=memory).token_per_s for memory in (IDEAL, HBM2)}
    assert speeds["ideal"] != speeds["hbm2"]
    for asked, memory in ((None, "ideal"), ("ideal", "ideal"), ("hbm2", "hbm2")):
        page = report.folder(place, output, memory=asked).read_text()
        check_markup(page)
        assert f"<b>{speeds[memory]:,.1f}</b><span>token/s at 200 MHz, full window, memory {memory}<" in page
        for program in ("decode", "prefill"):
            speed = simulate_run(programs, program, memory=HBM2 if memory == "hbm2" else IDEAL).token_per_s
            assert f"hf {program} on tiny, memory {memory}: {speed:,.1f} token/s" in page
        assert page.count(f"(memory model {memory})") == 2
        # There is no summary beside it.
        assert "summary.json" not in page


def test_a_summarys_own_runs_give_way_to_those_asked_for(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    """Only those of its programs: the well-known network and the recipes keep theirs, and say which memory that was."""
    found = ran[0]
    decode = simulate_run(found.first.programs, memory=HBM2)
    page = report.folder(found.folder, tmp_path / "report.html", memory="hbm2").read_text()
    assert f"decode on tiny, memory hbm2: {decode.token_per_s:,.1f} token/s" in page
    assert f"smollm2-135m decode on small, memory ideal: {found.workload.token_per_s:,.1f} token/s" in page
    assert f'<td class="n">{found.decode.token_per_s:,.1f}</td>' in page
    assert "by the simulator with memory model ideal." in page
    assert "Every figure above but those of the board is also in summary.json" not in page
    assert "Every figure above but those of the board is also in summary.json" in found.page.read_text()


def test_a_memory_that_cannot_be_had_is_refused(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'hbm3'"):
        report.folder(ran[0].folder / "program", memory="hbm3")
    (tmp_path / "summary.json").write_text(json.dumps({"provenance": demo_document(ran[0])["provenance"]}))
    with pytest.raises(SpecError, match="Report folder must hold compiled programs where a memory model is given, not '"):
        report.folder(tmp_path, memory="hbm2")


def changed(found: DemoSummary, folder: Path, **parts: object) -> Path:
    """Write the summary with some parts of its document changed, and return its file."""
    path = folder / "summary.json"
    path.write_text(json.dumps(demo_document(found) | parts))
    return path


def test_a_difference_is_shown_first(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    found = ran[0]
    case = dataclasses.replace(found.verdict.result.cases[0], mismatches=7, first="Dot of node layers.0.qkv differs")
    different = dataclasses.replace(found.verdict, result=dataclasses.replace(found.verdict.result, cases=(case,)))
    assert not different.is_equal
    page = folder_page(load_summary(changed(dataclasses.replace(found, verdict=different), tmp_path)))
    assert "The Verilog differs: Dot of node layers.0.qkv differs" in page
    assert "computes the same bits" not in page
    assert "<svg" not in page


def test_what_a_model_says_is_not_markup(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    found = ran[0]
    first = dataclasses.replace(found.first, reply=dataclasses.replace(found.first.reply, text="<script>alert(1)</script>"))
    page = folder_page(load_summary(changed(dataclasses.replace(found, first=first), tmp_path)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_summary_of_little_is_a_page_of_little(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"provenance": demo_document(ran[0])["provenance"]}))
    page = write_report(tmp_path).read_text()
    assert "<h1>no model on no engine yet</h1>" in page
    assert re.findall(r'<section id="(\w+)">', page) == ["provenance"]


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"cosim": {"engine": "tiny"}}, "'dict object' has no attribute 'is_equal'"),
        ({"program": {"engine": "tiny"}}, "'model' is missing"),
        ({"model": []}, "model: Input should be an object"),
        ({"steps": [{"title": "Load", "seconds": "soon"}]}, "Unknown format code 'f' for object of type 'str'"),
    ],
)
def test_a_damaged_summary_is_refused(ran: tuple[DemoSummary, Heard], tmp_path: Path, parts: dict[str, object], where: str) -> None:
    path = changed(ran[0], tmp_path, **parts)
    with pytest.raises(SpecError) as refusal:
        write_report(tmp_path)
    assert str(refusal.value) == f"Summary must be as this version's demo writes it, not what is in {str(path)!r} ({where})"


@pytest.mark.parametrize(
    ("text", "where"),
    [("[1]", "the whole: Input should be an object"), ("{", "the whole: Invalid JSON: "), ("\xff", "the whole: Invalid JSON: ")],
)
def test_what_is_no_summary_is_refused(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "summary.json").write_text(text, encoding="latin-1")
    with pytest.raises(SpecError, match=re.escape(f"({where}")):
        write_report(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refusal:
        write_report(tmp_path)
    assert (
        str(refusal.value)
        == f"Report folder must hold results of explore or demo, compiled programs, or Verilog, not {str(tmp_path)!r}"
    )


def test_a_renamed_field_fails(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    summary = load_summary(changed(ran[0], tmp_path))

    class Renamed:
        """The summary without its accuracy."""

        def __getattr__(self, name: str) -> object:
            if name == "accuracy":
                raise AttributeError(name)
            return getattr(summary, name)

    renamed = Renamed()
    with pytest.raises(jinja2.UndefinedError, match="has no attribute 'accuracy'"):
        folder_page(renamed)
