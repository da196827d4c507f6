"""The demo's steps on a tiny model, its summary, and the page made of it: complete, and in need of nothing else."""

import dataclasses
import json
import re
from pathlib import Path

import jinja2
import pytest

from hwsim.errors import SpecError
from reports.documents.demo import demo_document
from reports.documents.of_result import document_of
from reports.documents.summary import load_summary
from reports.pages.run import folder_page, write_report
from reports.studies.demo_summary import DemoSummary
from tests.reports.test_pictures import check_markup
from tests.reports.tiny_demo import Heard


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
    sections = ("model", "recipes", "program", "utilization", "roofline", "timeline", "cosim", "verilog", "reply", "provenance")
    for section in sections:
        assert f'<section id="{section}">' in page
    assert "The Verilog computes the same bits in the same cycles." in page
    assert page.count("<svg") == 3


def test_a_report_of_programs_alone(ran: tuple[DemoSummary, Heard], tmp_path: Path) -> None:
    page = write_report(ran[0].folder / "program", tmp_path / "report.html").read_text()
    check_alone(page)
    check_markup(page)
    assert "<h1>hf on tiny</h1>" in page
    assert '<section id="roofline">' in page
    assert '<section id="cosim">' not in page


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
    assert str(refusal.value) == f"Report folder must hold results of explore or demo, or compiled programs, not {str(tmp_path)!r}"


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
