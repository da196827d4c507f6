"""Pictures of a run are well-formed drawings inside their frame, and its trace names its instructions."""

import re
from html.parser import HTMLParser

import pytest

import lamforge
from lamforge.flow.executed import Executed
from lamforge.flow.roofline import roofline
from lamforge.flow.simulate import Timing
from reports.documents.chrome_trace import trace_document
from reports.pictures.roofline import roofline_picture
from reports.pictures.timeline import timeline_picture


@pytest.fixture(scope="module")
def run() -> Timing:
    timing = lamforge.simulate(workload="smollm2-135m", engine="small", context=256, layers="w4")
    assert isinstance(timing, Timing)
    return timing


class _Balanced(HTMLParser):
    """Refuses a page whose elements do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_markup(text: str) -> None:
    """Check that elements close in order."""
    parser = _Balanced()
    parser.feed(text)
    assert parser.open == []


def check_picture(picture: str, *, least: int = 0) -> None:
    """Check that a picture is well-formed, and has at least so many rectangles, all inside its frame."""
    check_markup(picture)
    width, height = (float(value) for value in re.findall(r'viewBox="0 0 (\S+) (\S+)"', picture)[0])
    found = re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', picture)
    assert len(found) >= least
    for x, y, wide, high in found:
        assert 0 <= float(x) <= float(x) + float(wide) <= width + 0.7
        assert 0 <= float(y) <= float(y) + float(high) <= height
    assert not re.search(r"nan|inf\b", picture)


def test_pictures_are_drawings_inside_their_frame(run: Timing) -> None:
    executed = Executed(timing=run)
    check_picture(roofline_picture(roofline([run, run])))
    check_picture(timeline_picture(executed, executed.layer_window, "a layer"), least=100)
    check_picture(timeline_picture(executed, (0, 500), "the beginning"), least=5)


def test_a_roofline_names_what_bounds_it(run: Timing) -> None:
    picture = roofline_picture(roofline([run]))
    assert "memory: 64 bytes per cycle" in picture
    assert "1 token row: 128" in picture
    assert "4 token rows: 512" in picture
    assert picture.count('class="mark ') == len(roofline([run]).points)


def test_a_timeline_counts_from_its_first_cycle(run: Timing) -> None:
    picture = timeline_picture(Executed(timing=run), (1000, 1500), "a window")
    assert "cycles after cycle 1,000" in picture
    assert re.findall(r'class="tick" text-anchor="middle">([\d,]+)<', picture) == ["0", "100", "200", "300", "400", "500"]
    assert all(f">{unit}</text>" in picture for unit in ("FETCH", "MATRIX", "VECTOR", "MOVER"))


def test_the_trace_names_instructions(run: Timing) -> None:
    document = trace_document(run)
    events = [event for event in document["traceEvents"] if event["ph"] == "X" and "index" in event["args"]]
    assert len(events) == len(run.timeline.pc)
    assert events[0]["args"]["instruction"].startswith("load space=residual")
    assert document["otherData"]["cycles"] == run.timeline.cycles
