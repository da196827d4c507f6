"""A chart: a frame with an axis across and one upwards, their grid, ticks and titles, and marks at the places of values."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from reports.pictures import svg

__all__ = ["Axis", "Chart", "powers", "steps"]

_TITLE = 14
"""Pixels from the left edge to the title of the axis upwards."""
_ROUNDING = 1e-9
_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """A side of a chart.

    Attributes:
        low, high: values at its ends, left and right or below and above; the first may be the larger one.
        title: what the values are; empty for none.
        ticks: values that are named, and their names.
        kind: class of the names.
        has_grid: whether a line crosses the chart at every tick.
        is_logarithmic: whether equal factors are equally far apart, instead of equal differences.
    """

    low: float
    high: float
    title: str = ""
    ticks: Mapping[float, str] = dataclasses.field(default_factory=dict)
    kind: str = "tick"
    has_grid: bool = False
    is_logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one."""
        low, high, place = (math.log(each) if self.is_logarithmic else each for each in (self.low, self.high, value))
        return (place - low) / ((high - low) or 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A frame in which values have places; sizes are in pixels.

    Attributes:
        title: what is read aloud in the place of the picture.
        x, y: the axis across and the one upwards.
        width, height: of the picture.
        left, right, top, bottom: margins between the picture's edges and the frame.
    """

    title: str
    x: Axis
    y: Axis
    width: float = 1060
    height: float = 320
    left: float = 64
    right: float = 16
    top: float = 16
    bottom: float = 44

    @property
    def floor(self) -> float:
        """Pixels from the upper edge to the lower end of the frame."""
        return self.height - self.bottom

    def across(self, value: float) -> float:
        """Return the pixels from the left edge to a value of the axis across."""
        return self.left + (self.width - self.left - self.right) * self.x.share(value)

    def up(self, value: float) -> float:
        """Return the pixels from the upper edge to a value of the axis upwards."""
        return self.floor - (self.floor - self.top) * self.y.share(value)

    def curve(self, points: Iterable[tuple[float, float]], kind: str, *, tip: str = "") -> str:
        """Return a line through points."""
        return svg.path([(self.across(x), self.up(y)) for x, y in points], kind, tip=tip)

    def dot(self, x: float, y: float, kind: str, *, tip: str = "", radius: float = 4) -> str:
        """Return a round mark."""
        size = 2 * radius
        return svg.rectangle(self.across(x) - radius, self.up(y) - radius, size, size, kind, tip=tip, radius=radius)

    def diamond(self, x: float, y: float, kind: str, *, tip: str = "", radius: float = 7) -> str:
        """Return a mark that stands on a corner."""
        across, up = self.across(x), self.up(y)
        corners = [(across, up - radius), (across + radius, up), (across, up + radius), (across - radius, up)]
        return svg.path(corners, kind, tip=tip, is_closed=True)

    def box(self, x: tuple[float, float], y: tuple[float, float], kind: str, *, tip: str = "") -> str:
        """Return a rectangle from the first to the second of two values across, and of two upwards."""
        (left, right), (below, above) = map(self.across, x), map(self.up, y)
        return svg.rectangle(left, above, right - left, below - above, kind, tip=tip)

    def frame(self) -> list[str]:
        """Return the axes: grid, ticks and titles."""
        parts = []
        for value, name in self.x.ticks.items():
            place = self.across(value)
            if self.x.has_grid:
                parts.append(svg.line(place, self.top, place, self.floor, "grid"))
            parts.append(svg.text(place, self.floor + 18, name, self.x.kind, anchor="middle"))
        for value, name in self.y.ticks.items():
            place = self.up(value)
            if self.y.has_grid:
                parts.append(svg.line(self.left, place, self.width - self.right, place, "grid"))
            parts.append(svg.text(self.left - 8, place + 4, name, self.y.kind, anchor="end"))
        if self.x.title:
            middle = (self.left + self.width - self.right) / 2
            parts.append(svg.text(middle, self.height - 6, self.x.title, "axis", anchor="middle"))
        if self.y.title:
            parts.append(svg.text(_TITLE, (self.top + self.floor) / 2, self.y.title, "axis", anchor="middle", turn=-90))
        return parts

    def drawing(self, marks: Iterable[str]) -> str:
        """Return the picture of the axes and, over them, the marks."""
        return svg.drawing(self.width, self.height, self.title, [*self.frame(), *marks])


def steps(low: float, high: float, most: int) -> list[float]:
    """Return round values from `low` to `high`: at most `most` steps, each 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(factor * power for factor in _STEPS if (high - low) / (factor * power) <= most + _ROUNDING)
    return [index * step for index in _whole(low / step, high / step)]


def powers(low: float, high: float, base: float = 2.0) -> list[float]:
    """Return the powers of a base from `low` to `high`."""
    return [base**power for power in _whole(math.log(low, base), math.log(high, base))]


def _whole(low: float, high: float) -> range:
    """Return the whole numbers from `low` to `high`, ends included that rounding has moved."""
    return range(math.ceil(low - _ROUNDING), math.floor(high + _ROUNDING) + 1)
