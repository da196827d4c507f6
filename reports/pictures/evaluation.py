"""An evaluation in pictures: likelihood by position, errors by layer, right answers by depth and length."""

from collections.abc import Sequence

from lamforge.flow.accuracy import DENSE, FLOAT, INTEGERS
from lamforge.flow.evaluate import LayerError, Retrieval, Stream
from reports.pictures import svg
from reports.pictures.chart import Axis, Chart, steps

__all__ = ["COLOURS", "layer_picture", "retrieval_picture", "stream_picture"]

COLOURS = {DENSE: "coral", FLOAT: "amber", INTEGERS: "blue"}
"""Class of each model's marks, by the names of lamforge.flow.accuracy."""
_HALVES = {"attention": "amber", "feed_forward": "green"}
_TICKS = 6
_LAYER_TICKS = 16
_WIDTH, _LEFT, _GAP, _CELL = 1060, 64, 28, 26


def stream_picture(found: Stream) -> str:
    """Return the likelihood of tokens by position as SVG, one line for each model."""
    values = [bucket.nll for buckets in found.buckets.values() for bucket in buckets]
    margin = 0.08 * (max(values) - min(values)) or 0.5
    low, high, last = min(values) - margin, max(values) + margin, found.spans[-1][1]
    ticks = {position: f"{position:,.0f}" for position in steps(0, last, _TICKS)}
    chart = Chart(
        title="Negative log-likelihood by position",
        x=Axis(low=0, high=last, title="position in the text, tokens", ticks=ticks),
        y=_upwards(low, high),
    )
    marks = []
    for name, buckets in found.buckets.items():
        points = [((bucket.start + bucket.stop) / 2, bucket.nll) for bucket in buckets]
        marks.append(chart.curve(points, f"curve {COLOURS[name]}", tip=name))
        for (middle, value), bucket in zip(points, buckets, strict=True):
            tip = f"{name}, positions {bucket.start:,} to {bucket.stop - 1:,}: {value:.3f} nats a token"
            marks.append(chart.dot(middle, value, f"bar {COLOURS[name]}", tip=tip, radius=3.5))
    return chart.drawing(marks)


def layer_picture(layers: Sequence[LayerError]) -> str:
    """Return the error of each half of a layer as SVG: a bar for its own, a mark for the accumulated one."""
    top = max(max(entry.own, entry.accumulated) for entry in layers) * 1.06 or 1.0
    every = max(1, len(layers) // 2 // (_LAYER_TICKS - 1))
    ticks = {2.0 * layer + 1: str(layer) for layer in range(0, len(layers) // 2, every)}
    x = Axis(low=0, high=len(layers), title="layer", ticks=ticks)
    chart = Chart(title="Relative error of each half of a layer", x=x, y=_upwards(0, top), height=300)
    marks = []
    for index, entry in enumerate(layers):
        place = (index + 0.1, index + 0.9)
        kind = _HALVES.get(entry.name.rpartition(".")[2], "violet")
        tip = f"{entry.name}: {entry.own:.3f} by itself, {entry.accumulated:.3f} on its own stream"
        marks.append(chart.box(place, (0, entry.own), f"bar {kind}", tip=tip))
        left, right = map(chart.across, place)
        marks.append(svg.rectangle(left, chart.up(entry.accumulated) - 1, right - left, 2, "bar ink", tip=tip))
    return chart.drawing(marks)


def retrieval_picture(found: Retrieval) -> str:
    """Return the share of right answers as SVG: for each model a map of depths (down) and prompt lengths (across)."""
    lengths, depths = found.lengths, found.depths
    wide = (_WIDTH - _LEFT - _GAP * (len(found.names) - 1)) / len(found.names)
    title, parts, height = "Right answers by depth and length", [], 78 + _CELL * len(depths)
    columns = {column + 0.5: f"{length:,}" for column, length in enumerate(lengths)}
    rows = {row + 0.5: f"{depth:.0%}" for row, depth in enumerate(depths)}
    for number, name in enumerate(found.names):
        left = _LEFT + number * (wide + _GAP)
        chart = Chart(
            title=title,
            x=Axis(low=0, high=len(lengths), title="tokens of the prompt", ticks=columns),
            y=Axis(low=len(depths), high=0, title="" if number else "depth", ticks={} if number else rows),
            height=height,
            left=left,
            right=_WIDTH - left - wide,
            top=34,
        )
        parts += [*chart.frame(), svg.text(left + wide / 2, 18, name, "lane", anchor="middle")]
        parts += [
            _cell(chart, found, name, (column, length), (row, depth))
            for column, length in enumerate(lengths)
            for row, depth in enumerate(depths)
        ]
    return svg.drawing(_WIDTH, height, title, parts)


def _upwards(low: float, high: float) -> Axis:
    return Axis(low=low, high=high, ticks={value: f"{value:.4g}" for value in steps(low, high, _TICKS)}, has_grid=True)


def _cell(chart: Chart, found: Retrieval, name: str, across: tuple[int, int], down: tuple[int, float]) -> str:
    """Return how many tasks of a length (its column before it) and of a depth (its row before it) were answered right."""
    (column, length), (row, depth) = across, down
    trials = found.chosen(length=length, depth=depth)
    if not trials:
        return ""
    right = found.right(name, trials)
    kind = "good" if 2 * right > len(trials) else "half" if right else "bad"
    where = "within" if all(trial.is_within for trial in trials) else "beyond"
    tip = f"{name}, {length:,} tokens, depth {depth:.0%}, {where} what is read at once: {right} of {len(trials)}"
    left, top = chart.across(column) + 1, chart.up(row) + 1
    width, middle = chart.across(column + 1) - 1 - left, chart.across(column + 0.5)
    box = svg.rectangle(left, top, width, _CELL - 2, f"cell {kind}", tip=tip, radius=3)
    return f"{box}\n{svg.text(middle, top + _CELL / 2 + 3, f'{right}/{len(trials)}', 'inside', anchor='middle')}"
