"""Pictures and tables of a run agree with its timeline."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hwsim.arch.fields import Unit
from hwsim.arch.isa import Format
from lamforge.flow.engines import chosen_engine
from lamforge.flow.executed import FAMILIES, Executed
from lamforge.flow.simulation import Simulation, compiled_workload, simulate, workload_request
from reports.documents.chrome_trace import trace_document
from reports.pictures.roofline import points, roofline_picture
from reports.pictures.timeline import attention_window, layer_window, timeline_picture
from reports.text.tables import aligned, size_text

PARTS = {"qkv", "o", "gateup", "down", "head"}


@pytest.fixture(scope="module")
def run() -> Simulation:
    return simulate(compiled_workload(workload_request("smollm2-135m", chosen_engine("small"), context=256, layers=Format.W4)))


def test_points_share_out_every_cycle_and_byte(run: Simulation) -> None:
    found, executed, timeline = points(run), Executed(simulation=run), run.timeline
    matrix = np.flatnonzero(timeline.unit == Unit.MATRIX)
    cycles = np.diff(timeline.release[matrix], prepend=-1)
    has_work = [executed.part(index) in {"attention", *PARTS} for index in matrix]
    assert sum(point.cycles for point in found) == cycles[has_work].sum() > 0.99 * timeline.cycles
    assert sum(point.stream_bytes for point in found) == run.timeline.stream_bytes
    assert {point.name for point in found} == {"qkv", "attention scores", "attention mix", "o", "gateup", "down", "head"}


def test_no_point_is_above_the_roof(run: Simulation) -> None:
    tile = run.engine.tile
    for point in points(run):
        assert point.rate <= point.intensity * tile.beat_bytes
        assert point.rate <= 32 * tile.slices * tile.tokens


def test_products_of_a_matrix_are_its_weights(run: Simulation) -> None:
    products = {point.name: point.multiply_accumulates for point in points(run)}
    assert products["gateup"] == 30 * 2 * 1536 * 576
    assert products["head"] == 49152 * 576


def test_iterations_count_earlier_runs_of_a_word(run: Simulation) -> None:
    executed = Executed(simulation=run)
    pc = run.timeline.pc
    slow = np.array([(pc[:index] == word).sum() for index, word in enumerate(pc)])
    assert np.array_equal(executed.iteration, slow)
    assert executed.name(int(np.flatnonzero(executed.iteration == 29)[0])).startswith("layers.29.")


def test_the_layer_window_is_a_thirtieth_of_the_layers(run: Simulation) -> None:
    start, stop = layer_window(Executed(simulation=run))
    first, last = attention_window(Executed(simulation=run))
    assert start <= first < last <= stop
    assert 0.8 < (stop - start) * 30 / run.timeline.cycles < 1.0 or stop - start < run.timeline.cycles / 30


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


def test_pictures_are_drawings_inside_their_frame(run: Simulation) -> None:
    executed = Executed(simulation=run)
    for picture in (
        roofline_picture([run, run]),
        timeline_picture(run, layer_window(executed), "a layer"),
        timeline_picture(run, (0, 500), "the beginning"),
    ):
        check_markup(picture)
        width, height = (float(value) for value in re.findall(r'viewBox="0 0 (\S+) (\S+)"', picture)[0])
        for x, y, wide, high in re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', picture):
            assert 0 <= float(x) <= float(x) + float(wide) <= width + 0.7
            assert 0 <= float(y) <= float(y) + float(high) <= height
        assert not re.search(r"nan|inf\b", picture)


def test_families_have_a_colour(run: Simulation) -> None:
    executed = Executed(simulation=run)
    assert {executed.family(index) for index in range(200)} <= set(FAMILIES)


def test_the_trace_names_instructions(run: Simulation) -> None:
    document = trace_document(run)
    events = [event for event in document["traceEvents"] if event["ph"] == "X" and "index" in event["args"]]
    assert len(events) == len(run.timeline.pc)
    assert events[0]["args"]["instruction"].startswith("load space=residual")
    assert document["otherData"]["cycles"] == run.timeline.cycles


def test_sizes_read_well() -> None:
    assert [size_text(count) for count in (0, 1023, 1536, 5 << 20)] == ["0 bytes", "1,023 bytes", "1.5 KiB", "5.0 MiB"]
    assert aligned([("a", "1"), ("bcd", "2")]) == "a    1\nbcd  2"
