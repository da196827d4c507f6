"""The page of a study of placements: who leads where, in one file that needs nothing else and reads well everywhere."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.explore.placement_findings import PlacementFindings, placement_findings
from reports.pages import report
from reports.pages.placements import placement_page
from reports.text.figures import figure_text
from tests.lamforge.explore.placed import SYSTEMS, placed

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def found(place: Path) -> PlacementFindings:
    return placement_findings(lamforge.explore(placed(), output=place / "out").folder)


@pytest.fixture(scope="module")
def page(found: PlacementFindings) -> str:
    return placement_page(found)


class Tags(HTMLParser):
    """Elements of a page with their attributes, in order."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_answer_comes_first(page: str) -> None:
    first = page.index('<div class="verdict good">')
    assert "<p>The GPU alone has the most token/s in " in page[first : first + 100]


def test_every_leader_is_there(page: str, found: PlacementFindings) -> None:
    for view in found.views:
        for case in view.cases:
            leader = case.leader("token_per_s")
            batch = "<br>batch " if view.batch is None else "</small>"
            assert leader is None or f"{figure_text(leader.metrics['token_per_s'])}<small>{leader.name}{batch}" in page
    sections = {tuple(case.values[path] for path in ("placement.format", "network")) for case in found.views[0].cases}
    assert page.count("<h3>Who leads at batch 1</h3>") == page.count("<h3>Who leads at the best batch</h3>") == len(sections) == 4
    assert page.count("<svg ") == 4 * 2 * len(found.study.objectives)
    assert "undefined" not in page.lower() and "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", page.lower())


def test_systems_have_their_price_and_what_is_assumed(page: str, found: PlacementFindings) -> None:
    systems = page[page.index('<section id="systems">') : page.index('<section id="rejected">')]
    fits = {each.name for view in found.views for case in view.cases for many in case.entries.values() for each in many}
    assert systems.count("<tr><th") == len(fits) + 1
    assert {name.partition(":")[0] for name in fits} == set(SYSTEMS)
    assert "22,000</td>" in systems and "37 %</td>" in systems
    assert "GPU memory (" in page and "roofline" not in page.lower() and "closed form" not in page


def test_it_needs_nothing_else(page: str) -> None:
    tags = Tags(page)
    for _, attributes in tags.found:
        assert not attributes.get("src")
        assert (attributes.get("href") or "#").startswith("#")
    assert "http" not in page and "@import" not in page and len(page.encode()) <= MOST_BYTES


def test_it_reads_well_everywhere(page: str) -> None:
    tags = Tags(page)
    levels = [int(tag[1]) for tag, _ in tags.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = [attributes["href"] for tag, attributes in tags.found if tag == "a"]
    assert {str(anchor)[1:] for anchor in anchors} <= set(ids)
    boxes = [attributes for _, attributes in tags.found if attributes.get("role") == "group"]
    assert len(boxes) == len([tag for tag, _ in tags.found if tag in ("table", "svg")])
    assert all(each["tabindex"] == "0" and each["class"] == "wide" for each in boxes)


def test_names_are_escaped(found: PlacementFindings) -> None:
    evil = "</script><script>alert(1)</script>"
    renamed = dataclasses.replace(
        found, study=dataclasses.replace(found.study, name=evil), text=evil, refusals=(evil,), short_of={evil: 3}
    )
    page = placement_page(renamed)
    assert "alert(1)" in page and "<script" not in page


def test_what_is_not_there_fails_and_does_not_vanish(found: PlacementFindings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.pages.placements._KIND_COLOURS", {})
    with pytest.raises(jinja2.UndefinedError):
        placement_page(found)


def test_a_study_that_nothing_meets_has_a_page(place: Path) -> None:
    with pytest.raises(SpecError, match="must leave at least one of"):
        lamforge.explore(placed(constraints={"token_per_s": {"at_least": 1e9}}), output=place / "none")
    page = report.folder(place / "none").read_text()
    assert '<div class="verdict bad"><p>No placement meets the constraints, so that none has the most token/s.' in page
    assert "nothing fits" in page and "<svg" not in page


def test_a_study_of_one_prompt_and_one_batch_has_a_page(place: Path) -> None:
    axes = {"placement.system": ["gpu-a100", "zero-a100-host"]}
    made = placed(axes=axes, base={"network": "llama-2-7b", "batch": 2}, for_each=[])
    page = report.folder(lamforge.explore(made, output=place / "one").folder).read_text()
    assert "The GPU alone has the most token/s in the one case: at batch 2, the GPU alone (gpu-a100)." in page
    assert "<h3>Who leads at batch 2</h3>" in page and "<svg" not in page
