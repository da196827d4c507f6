"""Knows the pictures of an evaluation: likelihood by position, errors by layer, right answers by depth and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamforge.flow.contestants import DENSE, FLOAT, INTEGERS
from reports.pictures import svg

__all__ = ["COLOURS", "layer_picture", "retrieval_picture", "stream_picture"]

COLOURS = {DENSE: "coral", FLOAT: "amber", INTEGERS: "blue"}
"""Class of each model's marks, by the names of lamforge.flow.contestants."""

_WIDTH, _LEFT, _RIGHT, _TOP = 1060, 64, 16, 16
_TICKS = 5
Document = Mapping[str, Any]


def stream_picture(measured: Document) -> str:
    """Return the likelihood of tokens by position as SVG, one line for each model; `measured` is the document's `stream`."""
    height, bottom = 320, 44
    values = [value for line in measured["nll"].values() for value in line]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.5
    low, high = low - margin, high + margin
    last = measured["positions"][-1][1]

    def x(position: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * position / last

    def y(value: float) -> float:
        return height - bottom - (height - _TOP - bottom) * (value - low) / (high - low)

    parts = []
    for tick in range(_TICKS):
        value, position = low + (high - low) * tick / (_TICKS - 1), last * tick / (_TICKS - 1)
        parts += [
            svg.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), "grid"),
            svg.text(_LEFT - 8, y(value) + 4, f"{value:.2f}", "tick", anchor="end"),
            svg.text(x(position), height - bottom + 18, f"{position:,.0f}", "tick", anchor="middle" if tick else "start"),
        ]
    for name, line in measured["nll"].items():
        middles = [(start + stop) / 2 for start, stop in measured["positions"]]
        points = [(x(middle), y(value)) for middle, value in zip(middles, line, strict=True)]
        parts.append(svg.path(points, f"curve {COLOURS[name]}", tip=name))
        for (across, up), (start, stop), value in zip(points, measured["positions"], line, strict=True):
            tip = f"{name}, positions {start:,} to {stop - 1:,}: {value:.3f} nats a token"
            parts.append(svg.rectangle(across - 3.5, up - 3.5, 7, 7, f"bar {COLOURS[name]}", tip=tip, radius=3.5))
    parts.append(svg.text((_LEFT + _WIDTH) / 2, height - 6, "position in the text, tokens", "axis", anchor="middle"))
    return svg.drawing(_WIDTH, height, "Negative log-likelihood by position", parts)


def layer_picture(layers: Sequence[Document]) -> str:
    """Return the error of each half of a layer as SVG: a bar for its own, a mark for the accumulated one."""
    height, bottom = 300, 44
    top = max(max(entry["own"], entry["accumulated"]) for entry in layers) * 1.06 or 1.0
    step = (_WIDTH - _LEFT - _RIGHT) / len(layers)

    def y(value: float) -> float:
        return height - bottom - (height - _TOP - bottom) * value / top

    parts = []
    for tick in range(_TICKS):
        value = top * tick / (_TICKS - 1)
        parts.append(svg.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), "grid"))
        parts.append(svg.text(_LEFT - 8, y(value) + 4, f"{value:.2f}", "tick", anchor="end"))
    for index, entry in enumerate(layers):
        kind = "amber" if entry["name"].endswith("attention") else "green" if entry["name"].endswith("feed_forward") else "violet"
        tip = f"{entry['name']}: {entry['own']:.3f} by itself, {entry['accumulated']:.3f} on its own stream"
        place = _LEFT + step * index
        parts.append(svg.rectangle(place + 0.1 * step, y(entry["own"]), 0.8 * step, y(0) - y(entry["own"]), f"bar {kind}", tip=tip))
        parts.append(svg.rectangle(place + 0.1 * step, y(entry["accumulated"]) - 1, 0.8 * step, 2, "bar ink", tip=tip))
    every = max(1, len(layers) // 2 // 15)
    middles = {layer: _LEFT + step * (2 * layer + 1) for layer in range(0, len(layers) // 2, every)}
    parts += [svg.text(middle, height - bottom + 18, str(layer), "tick", anchor="middle") for layer, middle in middles.items()]
    parts.append(svg.text((_LEFT + _WIDTH) / 2, height - 6, "layer", "axis", anchor="middle"))
    return svg.drawing(_WIDTH, height, "Relative error of each half of a layer", parts)


def retrieval_picture(found: Document) -> str:
    """Return the share of right answers as SVG: for each model a map of depths (down) and prompt lengths (across)."""
    tasks, names = found["tasks"], list(found["right"])
    lengths, depths = sorted({row["length"] for row in tasks}), sorted({_tenth(row["depth"]) for row in tasks})
    cell_height, left, gap, top = 26, 64, 28, 34
    wide = (_WIDTH - left - gap * (len(names) - 1)) / len(names)
    cell = wide / len(lengths)
    height = top + cell_height * len(depths) + 44
    parts = []
    for row, depth in enumerate(depths):
        middle = top + cell_height * (row + 0.5) + 4
        parts.append(svg.text(left - 8, middle, f"{depth:.0%}", "tick", anchor="end"))
    for number, name in enumerate(names):
        start = left + number * (wide + gap)
        parts.append(svg.text(start + wide / 2, 18, name, "lane", anchor="middle"))
        for column, length in enumerate(lengths):
            x = start + cell * column
            parts.append(svg.text(x + cell / 2, height - 26, f"{length:,}", "tick", anchor="middle"))
            for row, depth in enumerate(depths):
                mine = [task for task in tasks if task["length"] == length and _tenth(task["depth"]) == depth]
                if not mine:
                    continue
                right = sum(task["answers"][name]["is_right"] for task in mine)
                kind = "good" if 2 * right > len(mine) else "half" if right else "bad"
                where = "within" if all(task["is_within"] for task in mine) else "beyond"
                y = top + cell_height * row
                tip = f"{name}, {length:,} tokens, depth {depth:.0%}, {where} what is read at once: {right} of {len(mine)}"
                parts.append(svg.rectangle(x + 1, y + 1, cell - 2, cell_height - 2, f"cell {kind}", tip=tip, radius=3))
                parts.append(svg.text(x + cell / 2, y + cell_height / 2 + 4, f"{right}/{len(mine)}", "inside", anchor="middle"))
    parts.append(svg.text((left + _WIDTH) / 2, height - 6, "tokens of the prompt", "axis", anchor="middle"))
    parts.append(svg.text(14, top + cell_height * len(depths) / 2, "depth", "axis", anchor="middle", turn=-90))
    return svg.drawing(_WIDTH, height, "Right answers by depth and length", parts)


def _tenth(depth: float) -> float:
    """Return a depth to which neighbouring ones are rounded: quarters stay apart."""
    return round(depth * 20) / 20
