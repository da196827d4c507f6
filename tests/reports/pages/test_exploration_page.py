"""The page of a study: the answer and the whole front, in one file that needs nothing else and reads well everywhere."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

import lamforge
from hwsim.errors import SpecError
from lamforge.explore.exploration import Exploration
from lamforge.explore.findings import Findings, findings
from reports.pages import report
from reports.pages.exploration import exploration_page
from tests.lamforge.conftest import run_main
from tests.lamforge.explore.small import FEW_AXES, explored_study, study

MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def explored(place: Path) -> Exploration:
    return explored_study(place)


@pytest.fixture(scope="module")
def found(explored: Exploration) -> Findings:
    return findings(explored.folder)


@pytest.fixture(scope="module")
def page(found: Findings) -> str:
    return exploration_page(found)


class Tags(HTMLParser):
    """Elements of a page with their attributes, in order; what scripts and styles hold is left out."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] not in ("script", "style"):
            self.texts.append(data)


def charts(page: str) -> list[str]:
    return re.findall(r'id="chart-(\w+)"', page)


def document(page: str, name: str) -> object:
    text = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert text is not None
    return json.loads(text.group(1))


def test_the_answer_comes_first(page: str, explored: Exploration) -> None:
    best = explored.front[0]
    first = page.index('<div class="verdict good">')
    assert f"The highest token/s is {best.metrics['token_per_s']:,.0f}" in page[first : first + 300]
    assert "No rejected point would be better by the closed form. It stands at the end of fetch.fifo beats 64" in page


def test_it_has_every_row_of_the_front(page: str, explored: Exploration) -> None:
    table = page[page.index('<table id="designs">') :]
    table = table[: table.index("</table>")]
    assert table.count("<tr data-design=") == len(explored.front)
    for each in explored.front:
        assert f'data-value="{each.metrics["token_per_s"]}"' in table
    assert "undefined" not in " ".join(Tags(page).texts).lower()


def test_it_tells_what_was_asked_rejected_and_missed(page: str, found: Findings) -> None:
    assert "token_per_s at least 14000" in page
    assert found.error is not None and f"{100 * found.error.worst:.2f} % at worst" in page
    assert found.nearest is not None and f"which it misses by {100 * found.nearest.excess:.1f} %" in page
    assert found.text in page.replace("&#34;", '"')


def test_it_tells_what_the_figures_rest_on(page: str, found: Findings) -> None:
    section = page[page.index('<section id="sources">') :]
    section = section[: section.index("</section>")]
    joule = next(each for each in found.sources if each.name == "token_per_joule")
    assert 0 < len(joule.assumed) < len(joule.numbers)
    share = f'<td class="n">{len(joule.assumed)} ({100 * len(joule.assumed) / len(joule.numbers):.1f} %)</td>'
    assert f'<th scope="row">token/J</th><td class="n">{len(joule.numbers)}</td>{share}' in section
    assert '<th scope="row">bytes per token</th><td class="n">none</td>' in section
    for name, number in joule.assumed.items():
        assert f'<th scope="row">{name}</th><td>{number.value}</td>' in section and number.source[:20] in section


def test_it_needs_nothing_else(page: str) -> None:
    tags = Tags(page)
    for _, attributes in tags.found:
        assert not attributes.get("src")
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in page and "url(" not in page[: page.index("</style>")]
    assert not [tag for tag, _ in tags.found if tag in ("link", "iframe", "img", "object")]
    for name in charts(page):
        assert "http" not in json.dumps(document(page, f"spec-{name}"))
    assert len(page.encode()) <= MOST_BYTES


def test_it_reads_well_everywhere(page: str) -> None:
    tags = Tags(page)
    levels = [int(tag[1]) for tag, _ in tags.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert charts(page) == ["front0", "parallel", "sensitivity", "roofline", "causes"]
    pictures = [attributes for tag, attributes in tags.found if (attributes.get("class") or "").startswith("chart")]
    assert all(each["role"] == "img" and len(each["aria-label"] or "") > 40 for each in pictures)
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = [attributes["href"] for tag, attributes in tags.found if tag == "a"]
    assert {str(anchor)[1:] for anchor in anchors} <= set(ids)
    style = page[: page.index("</style>")]
    for rule in ("prefers-color-scheme: dark", "@media print", ":focus-visible", "overflow-x: auto"):
        assert rule in style
    boxes = [attributes for _, attributes in tags.found if attributes.get("role") == "group"]
    assert len(boxes) == len([tag for tag, _ in tags.found if tag == "table"]) + 1
    assert all(each["tabindex"] == "0" and each["class"] == "wide" for each in boxes)


def test_charts_take_the_colours_of_the_page(page: str) -> None:
    assert "var(--soft)" in page[page.index('id="look"') :]
    for name in charts(page):
        assert not re.search(r'"#[0-9a-f]{3,6}"', json.dumps(document(page, f"spec-{name}")))


def test_the_script_closes_no_element(page: str) -> None:
    assert page.count("<script") == page.count("</script>") == 3 + 1 + 2 * len(charts(page))


def test_names_are_escaped(found: Findings) -> None:
    evil = "</script><script>alert(1)</script>"
    renamed = dataclasses.replace(
        found,
        study=dataclasses.replace(found.study, name=evil),
        text=evil,
        drawn=tuple(dataclasses.replace(each, rejected_by=evil) for each in found.drawn),
        rejected=tuple(dataclasses.replace(each, constraint=evil) for each in found.rejected),
    )
    page = exploration_page(renamed)
    assert "alert(1)" in page and "<script>alert" not in page
    assert document(page, "points")["rows"][0]["why"] == evil


def test_what_is_not_there_fails_and_does_not_vanish(found: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.pages.exploration.pictures", lambda found, columns: ())
    with pytest.raises(jinja2.UndefinedError):
        exploration_page(found)


def test_a_study_that_nothing_meets_has_a_page(place: Path) -> None:
    with pytest.raises(SpecError, match="must leave at least one of"):
        lamforge.explore(study(place, axes=FEW_AXES, constraints={"token_per_s": {"at_least": 1e9}}), output=place / "none")
    page = report.folder(place / "none").read_text()
    assert '<div class="verdict bad"><p>No design meets the constraints, of 12 points. The nearest misses by ' in page
    assert charts(page) == ["front0", "parallel"]


def test_a_study_of_one_point_has_a_page(place: Path) -> None:
    lamforge.explore(
        study(place, axes={"engine.fetch.fifo_beats": [32]}, objectives={"token_per_s": "maximize"}), output=place / "one"
    )
    page = report.folder(place / "one").read_text()
    assert "The highest token/s is" in page and page.count("<tr data-design=") == 1
    assert charts(page) == ["front0", "parallel", "roofline", "causes"]
    assert "No point was rejected." in page and page.count("No axis has another value.") == 2


def test_a_study_takes_no_memory_model(explored: Exploration, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Memory model must be left out with a study, whose points have theirs"):
        report.folder(explored.folder, tmp_path / "page.html", memory="hbm2")


def test_the_command_takes_the_folder_alone(explored: Exploration, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "page.html"
    for arguments in (["report", str(explored.folder)], ["report", "folder", str(explored.folder)]):
        assert run_main([*arguments, "-o", str(output)]) == 0
        assert capsys.readouterr().out == f"Report: {output}\n"
    assert "The highest token/s is" in output.read_text()
