"""Every page that is written, in a real browser: silent, alone, as wide as its window, told to all, and whole on paper."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lamforge.explore.exploration import Exploration
from lamforge.explore.findings import findings
from lamforge.flow.provenance import provenance
from reports.documents.summary import Summary
from reports.pages.evaluation import evaluation_page
from reports.pages.exploration import write_exploration
from reports.pages.offload import offload_page
from reports.pages.run import folder_page, write_report
from reports.studies.demo_summary import DemoSummary
from reports.studies.offload import offload_study
from reports.text.findings import answer_text
from tests.lamforge.explore.small import explored_study
from tests.reports.browser import SCHEMES, WIDTHS, Opened, opened, started
from tests.reports.pages.test_offload import NAMES
from tests.reports.test_evaluation_pictures import LAYERS, RETRIEVAL, STREAM, evaluation
from tests.reports.tiny_demo import Heard
from tests.reports.tiny_fit import u280_fit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def explored(browser: Browser, place: Path) -> Exploration:
    return explored_study(place)


@pytest.fixture(scope="module")
def study(explored: Exploration, place: Path) -> Path:
    return write_exploration(explored.folder, place / "study.html")


@pytest.fixture(scope="module")
def page_of(explored: Exploration, place: Path, request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """A function that returns the file of a page by name, written when it is first asked for."""

    @functools.cache
    def written(name: str) -> Path:
        path = place / f"{name}.html"
        if name == "study":
            return write_exploration(explored.folder, path)
        if name == "demo":
            ran: tuple[DemoSummary, Heard] = request.getfixturevalue("ran")
            return ran[0].page
        if name == "programs":
            return write_report(written("demo").parent / "program", path)
        content = {
            "board": lambda: folder_page(Summary(provenance=dataclasses.asdict(provenance())), fits=[u280_fit()], is_kept=False),
            "evaluation": lambda: evaluation_page(evaluation(stream=STREAM, layers=LAYERS, passkey=RETRIEVAL)),
            "offload": lambda: offload_page(offload_study(("llama-2-7b",), NAMES)),
        }
        path.write_text(content[name]())
        return path

    return written


@pytest.mark.parametrize(("is_ci", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_a_missing_browser_is_told(is_ci: bool, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.reports.browser.shutil.which", lambda name: None)
    monkeypatch.setenv("CI", "true" if is_ci else "")
    told = "Chromium must be installed, so that the written pages are looked at: apt install chromium"
    with pytest.raises(outcome, match=told), started():
        raise AssertionError("no browser must be started")


@pytest.mark.parametrize("name", ["study", "demo", "programs", "board", "evaluation", "offload"])
def test_a_page_is_for_everyone_and_everywhere(name: str, page_of: Callable[[str], Path], browser: Browser) -> None:
    for width in WIDTHS:
        with opened(browser, page_of(name), width=width) as found:
            for scheme in SCHEMES:
                found.wear(scheme)
                where = f"{name}, {scheme}, {width} pixels"
                assert found.overflows() == [], where
                assert found.cut_texts() == [], where
                assert found.findings() == [], where
            assert found.missed_by_tab() == [], f"{name}, {width} pixels"
            assert (found.messages, found.requests) == ([], []), f"{name}, {width} pixels"
            assert found.cut_in_print() == [], name


@pytest.fixture
def shown(study: Path, browser: Browser) -> Iterator[Opened]:
    with opened(browser, study) as found:
        yield found


def rows(page: Page) -> list[list[str]]:
    """Return the cells of the table of the front, in the order in which it shows them."""
    found: list[list[str]] = page.locator("#designs tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.dataset.value))"
    )
    return found


def test_the_first_sentence_is_the_answer(shown: Opened, explored: Exploration) -> None:
    assert shown.first_sentence() == answer_text(findings(explored.folder))


@pytest.mark.parametrize(("name", "key"), [("token/s", "Enter"), ("cycles", "Space")])
def test_the_table_sorts_by_keys(shown: Opened, name: str, key: str) -> None:
    page = shown.page
    heads = page.locator("#designs thead th")
    place = heads.all_inner_texts().index(name)
    before = rows(page)
    texts = [row[place] for row in before]
    # The order of the texts is another one for cycles, of which some have more digits.
    assert len(set(texts)) > 2 and (sorted(texts, key=float) != sorted(texts)) == (name == "cycles")
    heads.nth(place).locator("button").focus()
    for direction in ("ascending", "descending"):
        page.keyboard.press(key)
        values = [float(row[place]) for row in rows(page)]
        assert values == sorted(values, reverse=direction == "descending")
        assert heads.nth(place).get_attribute("aria-sort") == direction
    assert page.locator("#designs [aria-sort]").count() == 1
    assert sorted(rows(page)) == sorted(before)


def test_the_copy_has_the_rows_as_they_are_shown(shown: Opened, explored: Exploration) -> None:
    page = shown.page
    page.locator("#designs thead button").first.press("Enter")
    page.locator("#copy").press("Enter")
    page.wait_for_function("document.getElementById('copied').textContent")
    copied: str = page.evaluate("navigator.clipboard.readText()")
    head, *body = csv.reader(copied.splitlines(), delimiter="\t")
    assert body == rows(page)
    # In full, and under the names that a study calls them by; the first column counts, and the first press turned it round.
    for row, design in zip(reversed(body), explored.front, strict=True):
        for name, cell in zip(head[1:-1], row[1:-1], strict=True):
            assert cell == str(design.metrics.get(name, design.values.get(name)))
    assert page.locator("#copied").inner_text() == f"{len(body)} rows are copied, with tabs between cells."


def drag(page: Page, chart: str, share: float = 1) -> None:
    """Draw a box over all points of a chart, or over a share of its width on the left."""
    box = page.locator(f"{chart} .role-frame > g > path.background").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + share * box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()


def marked(page: Page) -> int:
    return page.locator("#designs tr.marked").count()


def test_a_box_in_a_chart_marks_points_in_all_of_them(shown: Opened, explored: Exploration) -> None:
    page, told = shown.page, shown.page.locator("#marked")
    faint = "#chart-parallel path[opacity='0.03']"
    page.locator("#chart-front0").scroll_into_view_if_needed()
    drag(page, "#chart-front0", 0.5)
    page.wait_for_function("document.querySelector('#designs tr.marked')")
    assert " on the front" in told.inner_text()
    assert 0 < marked(page) < len(explored.front)
    assert page.locator("#designs [aria-pressed='true']").count() == marked(page)
    assert page.locator(faint).count() > 0
    page.locator("#clear").press("Enter")
    page.wait_for_function("document.getElementById('marked').textContent === 'No points are marked.'")
    assert marked(page) == 0 and page.locator(faint).count() == 0
    assert shown.messages == []


def test_designs_are_marked_by_keys(shown: Opened, explored: Exploration) -> None:
    page = shown.page
    buttons = page.locator("#designs tbody button")
    count = len(explored.front)
    assert count > 2
    page.locator("#chart-front0").scroll_into_view_if_needed()
    drag(page, "#chart-front0")
    page.wait_for_function("(count) => document.querySelectorAll('#designs tr.marked').length === count", arg=count)
    # The first is taken away from what the box marked, and the box with it, which must not say later that nothing is marked.
    buttons.first.press("Space")
    left = f"{count - 1} points are marked, {count - 1} of them on the front."
    page.wait_for_function("(text) => document.getElementById('marked').textContent === text", arg=left)
    page.wait_for_timeout(300)
    assert page.locator("#marked").inner_text() == left
    assert marked(page) == count - 1
    assert page.locator("#chart-front0 path[opacity='0.95']").count() == count - 1
    for number in range(1, count):
        buttons.nth(number).press("Enter")
    page.wait_for_function("document.getElementById('marked').textContent === 'No points are marked.'")
    assert marked(page) == 0
    buttons.last.press("Enter")
    page.wait_for_function("document.getElementById('marked').textContent.startsWith('1 ')")
    assert buttons.last.get_attribute("aria-pressed") == "true" and marked(page) == 1
    assert shown.messages == []


BREAKS: dict[str, tuple[str, Callable[[Opened], list[str]]]] = {
    "font": ('<link rel="stylesheet" href="http://127.0.0.1:9/font.css">', lambda page: page.requests),
    "picture": ('<img alt="" src="missing.png">', lambda page: page.requests),
    "log": ("<script>console.log(1)</script>", lambda page: page.messages),
    "debug": ("<script>console.debug(1)</script>", lambda page: page.messages),
    "error": ("<script>undefinedName()</script>", lambda page: page.messages),
    "wide": ('<div style="width: 2000px">wide</div>', Opened.overflows),
    "fixed": ('<div style="position: fixed; width: 2000px; top: 0">wide</div>', Opened.overflows),
    "grey": ('<p style="color: #999; background: #888">grey on grey</p>', Opened.findings),
    "nameless": ("<button></button>", Opened.findings),
    "unnamed picture": ('<div role="img">chart</div>', Opened.findings),
    "no key": ('<a href="#question" tabindex="-1">skipped</a>', Opened.missed_by_tab),
    "no focus": ('<button style="outline: none">unseen</button>', Opened.missed_by_tab),
    "order": ('<button tabindex="3">first</button>', Opened.missed_by_tab),
    "cut text": ('<svg width="50" height="20"><text y="15">a text that is longer</text></svg>', Opened.cut_texts),
    "wide print": ('<table style="width: 900px"><tr><td>wide</td></tr></table>', Opened.cut_in_print),
    "cut print": ('<div style="width: 90px; overflow: auto"><div style="width: 300px">wide</div></div>', Opened.cut_in_print),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_page_is_found(name: str, study: Path, browser: Browser, tmp_path: Path) -> None:
    broken, found = BREAKS[name]
    path = tmp_path / "broken.html"
    path.write_text(study.read_text().replace("</main>", f"{broken}</main>"))
    with opened(browser, path) as page:
        assert found(page) != []
