"""The roofline of runs: what memory and multipliers allow, and below it what each kind of matrix work reaches."""

import math

from lamforge.flow.roofline import Roofline
from reports.pictures import svg
from reports.pictures.chart import Axis, Chart, powers

__all__ = ["roofline_picture"]


def roofline_picture(roofline: Roofline) -> str:
    """Return a roofline as SVG: filled marks for decode, hollow ones for prefill."""
    points, beat = roofline.points, roofline.bytes_per_cycle
    lowest, highest = (roofline.roofs[index].products_per_cycle for index in (0, -1))
    left = _below(min([0.5, *(point.intensity for point in points)]))
    right = _above(max([16.0, *(1.2 * point.intensity for point in points)]))
    bottom = _below(min([lowest / 8, *(0.9 * point.rate for point in points)]))
    chart = Chart(
        title=f"Roofline of {roofline.engine.name}",
        x=_axis(left, right, "products per byte"),
        y=_axis(bottom, _above(1.2 * highest), "products per cycle"),
        width=860,
        height=420,
        left=70,
        right=170,
        top=20,
        bottom=50,
    )
    # The slope of memory, from where it enters the frame to the highest roof.
    start, knee = max(left, bottom / beat), min(highest / beat, right)
    marks = [chart.curve([(start, start * beat), (knee, knee * beat)], "roof")]
    for roof in roofline.roofs:
        peak, rows = roof.products_per_cycle, f"{roof.rows} token row{'s' if roof.rows > 1 else ''}"
        marks.append(chart.curve([(min(peak / beat, right), peak), (right, peak)], "roof"))
        marks.append(svg.text(chart.across(right) + 8, chart.up(peak) + 4, f"{rows}: {peak:,}", "label"))
    # Its label lies above it and beyond the knee of one row, where no point of a decode run is.
    place = min(1.35 * lowest / beat, right / 4)
    turn = math.degrees(math.atan2(chart.up(2 * beat) - chart.up(beat), chart.across(2) - chart.across(1)))
    label = f"memory: {beat:,} bytes per cycle"
    marks.append(svg.text(chart.across(place), chart.up(place * beat) - 9, label, "label", turn=turn))
    for point in points:
        reached = f"{point.intensity:.2f} products per byte, {point.rate:,.0f} per cycle in {point.cycles:,} cycles"
        kind = f"mark {point.family}{'' if point.program == 'decode' else ' hollow'}"
        marks.append(chart.diamond(point.intensity, point.rate, kind, tip=f"{point.name} ({point.program}): {reached}"))
    return chart.drawing(marks)


def _axis(low: float, high: float, title: str) -> Axis:
    ticks = {value: f"{value:,.0f}" if value >= 1 else f"{value:g}" for value in powers(low, high)}
    return Axis(low=low, high=high, title=title, ticks=ticks, has_grid=True, is_logarithmic=True)


def _below(value: float) -> float:
    """Return the next power of two below."""
    return 2.0 ** math.floor(math.log2(value))


def _above(value: float) -> float:
    """Return the next power of two above."""
    return 2.0 ** math.ceil(math.log2(value))
