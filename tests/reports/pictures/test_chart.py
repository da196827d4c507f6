"""A chart puts values where its axes say, and names round ones."""

import pytest

from reports.pictures.chart import Axis, Chart, powers, steps
from tests.reports.test_pictures import check_markup

CHART = Chart(
    title="a <chart>",
    x=Axis(low=0, high=200, title="across", ticks={0: "none", 100: "half"}, has_grid=True),
    y=Axis(low=1, high=100, title="upwards", ticks={10: "ten"}, is_logarithmic=True),
    width=300,
    height=150,
    left=60,
    right=40,
    top=10,
    bottom=40,
)


def test_values_have_places() -> None:
    assert [CHART.across(value) for value in (0, 100, 200)] == [60, 160, 260]
    assert [CHART.up(value) for value in (1, 10, 100)] == pytest.approx([110, 60, 10])


def test_an_axis_may_run_downwards_and_may_be_one_value() -> None:
    assert [Axis(low=4, high=0).share(value) for value in (4, 1, 0)] == [0, 0.75, 1]
    assert Axis(low=3, high=3).share(3) == 0
    assert Axis(low=8, high=8, is_logarithmic=True).share(8) == 0


def test_the_frame_names_ticks_and_titles() -> None:
    picture = CHART.drawing([CHART.dot(100, 10, "bar", tip="a & b")])
    check_markup(picture)
    assert 'aria-label="a &lt;chart&gt;"' in picture
    assert picture.count('class="grid"') == 2
    assert '<text x="160" y="128" class="tick" text-anchor="middle">half</text>' in picture
    assert '<text x="52" y="64" class="tick" text-anchor="end">ten</text>' in picture
    assert '<text x="160" y="144" class="axis" text-anchor="middle">across</text>' in picture
    assert 'transform="rotate(-90 14 60)">upwards</text>' in picture
    assert '<rect x="156" y="56" width="8" height="8" class="bar" rx="4"><title>a &amp; b</title></rect>' in picture


def test_marks_are_at_their_values() -> None:
    assert CHART.curve([(0, 1), (200, 100)], "roof") == '<path d="M 60 110 L 260 10" class="roof"/>'
    assert CHART.diamond(100, 10, "mark") == '<path d="M 160 53 L 167 60 L 160 67 L 153 60 Z" class="mark"/>'
    assert CHART.box((0, 100), (1, 10), "bar") == '<rect x="60" y="60" width="100" height="50" class="bar"/>'


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 200, 8, [0, 50, 100, 150, 200]),
        (0, 17_857, 8, [0, 5000, 10_000, 15_000]),
        (2.64, 7.86, 6, [3, 4, 5, 6, 7]),
        (0.1, 0.35, 5, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
        (-3, 3, 4, [-2, 0, 2]),
        (5, 5, 4, [5]),
    ],
)
def test_steps_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    found = steps(low, high, most)
    assert found == pytest.approx(expected)
    assert len(found) <= most + 1


def test_powers_are_within_their_ends() -> None:
    assert powers(0.5, 8) == [0.5, 1, 2, 4, 8]
    assert powers(0.6, 7.9) == [1, 2, 4]
    assert powers(0.001, 1000, 10.0) == pytest.approx([0.001, 0.01, 0.1, 1, 10, 100, 1000])
