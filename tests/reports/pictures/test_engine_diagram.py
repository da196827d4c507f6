"""The committed block diagrams are those of the configurations, and every size that varies shows in them."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hwsim.arch.config import engine_names, load_engine
from reports.pictures.engine_diagram import engine_diagram, main

DOCS = Path(__file__).parents[3] / "docs"
U280 = load_engine("u280")
SHOWN: list[tuple[str, Any, str]] = [
    ("clock_hz", 300e6, "300 MHz"),
    ("channel_bytes", 1 << 27, "32 x 128 MiB"),
    ("tile.ports", 16, "16 tiles of 4 slices"),
    ("tile.port_bits", 256, "32 x 256 bit"),
    ("tile.tokens", 6, "6 token rows with 2-bit codes"),
    ("tile.nibble_tokens", 4, "4 token rows with every format"),
    ("fetch.burst_beats", 8, "bursts of 8 beats"),
    ("fetch.fifo_beats", 1024, "1,024 beats each,"),
    ("vector.lanes", 16, "16 values a cycle: scale,"),
    ("buffer.activation_segments", 512, "512 x 4 x 64 x 8 bit"),
    ("buffer.result_words", 1024, "1,024 words"),
    ("buffer.residual_words", 256, "256 x 32 x 32 bit"),
    ("buffer.parameter_words", 4096, "4,096 x 32 x 32 bit"),
    ("buffer.side_words", 128, "128 x 32 x 32 bit"),
    ("buffer.scales", 32, "32 scales"),
    ("control.queue_depth", 8, "queue of 8"),
    ("control.program_words", 512, "512 x 128 bit"),
    ("control.watchdog_cycles", 5000, "watchdog after 5,000 cycles"),
]


@pytest.mark.parametrize("name", ["u280", "small"])
def test_the_committed_picture_is_up_to_date(name: str, tmp_path: Path) -> None:
    main([name, str(tmp_path / "engine.svg")])
    assert (DOCS / f"engine-{name}.svg").read_text() == (tmp_path / "engine.svg").read_text(), "run `make docs`"


@pytest.mark.parametrize("path, value, shown", SHOWN)
def test_every_field_shows(path: str, value: Any, shown: str) -> None:
    assert shown not in engine_diagram(U280)
    assert shown in engine_diagram(U280.with_values({path: value}))


def test_no_field_is_left_out() -> None:
    fields = {f"{group}.{name}" for group, values in U280.to_dict().items() if isinstance(values, dict) for name in values}
    assert fields | {"clock_hz", "channel_bytes"} == {path for path, _, _ in SHOWN}


@pytest.mark.parametrize("name", engine_names())
def test_nothing_leaves_the_picture_and_wires_are_straight(name: str) -> None:
    picture = ElementTree.fromstring(engine_diagram(load_engine(name)))
    width, height = (float(value) for value in picture.attrib["viewBox"].split()[2:])
    for element in picture.iter():
        kind = element.attrib.get("class", "")
        if "x" in element.attrib:
            assert 0 <= float(element.attrib["x"]) <= width and 0 <= float(element.attrib["y"]) <= height
        if kind in ("data", "order"):
            numbers = [float(value) for value in re.findall(r"[\d.]+", element.attrib["d"])]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            assert all((x == next_x) != (y == next_y) for (x, y), (next_x, next_y) in pairwise(points))
