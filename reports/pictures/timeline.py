"""Knows the picture of one layer of a run: a lane for each unit, a bar for each instruction, gaps where it waits."""

from __future__ import annotations

import itertools

import numpy as np

from hwsim.arch.fields import Unit
from lamforge.flow.executed import Executed
from lamforge.flow.simulate import Timing
from reports.pictures import svg

__all__ = ["attention_window", "layer_window", "timeline_picture"]

_WIDTH, _LANE, _BAR = 1120, 46, 30
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 12, 40
_CHARACTER = 6.2
_TICKS = 8
_ATTENTION = ("Score", "Softmax", "Mix", "Rope", "KvQuant")


def layer_window(executed: Executed) -> tuple[int, int]:
    """Return the first and last cycle of the middle layer: from its first matrix instruction to the next layer's."""
    timeline = executed.simulation.timeline
    first: dict[int, int] = {}
    for index in np.flatnonzero(timeline.unit == Unit.MATRIX).tolist():
        if executed.is_in_layer(index):
            first.setdefault(int(executed.iteration[index]), int(timeline.issue[index]))
    middle = len(first) // 2
    return first.get(middle, 0), first.get(middle + 1, timeline.cycles - 1)


def attention_window(executed: Executed) -> tuple[int, int]:
    """Return the first and last cycle of the middle layer's attention, a little on both sides."""
    start, stop = layer_window(executed)
    timeline = executed.simulation.timeline
    inside = np.flatnonzero((timeline.issue >= start) & (timeline.issue <= stop))
    mine = [index for index in inside.tolist() if executed.kind(index) in _ATTENTION]
    if not mine:
        return start, stop
    first, last = int(timeline.issue[mine[0]]), int(timeline.retire[mine].max())
    margin = (last - first) // 20
    return max(start, first - margin), min(stop, last + margin)


def timeline_picture(simulation: Timing, window: tuple[int, int], title: str) -> str:
    """Return the cycles of a run between those of `window` as SVG."""
    executed, timeline = Executed(simulation=simulation), simulation.timeline
    start, stop = window
    scale = (_WIDTH - _LEFT - _RIGHT) / max(stop - start, 1)

    def x(cycle: float) -> float:
        return _LEFT + (min(max(cycle, start), stop) - start) * scale

    height = _TOP + _LANE * len(Unit) + _BOTTOM
    floor = height - _BOTTOM
    parts: list[str] = []
    for cycle in _ticks(start, stop):
        parts.append(svg.line(x(cycle), _TOP, x(cycle), floor, "grid"))
        parts.append(svg.text(x(cycle), floor + 16, f"{cycle - start:,}", "tick", anchor="middle"))
    for unit in Unit:
        top = _TOP + _LANE * unit + (_LANE - _BAR) / 2
        parts.append(svg.text(_LEFT - 10, top + _BAR / 2 + 4, unit.name, "lane", anchor="end"))
        parts.append(svg.rectangle(_LEFT, top, _WIDTH - _LEFT - _RIGHT, _BAR, "idle"))
    inside = np.flatnonzero((timeline.retire >= start) & (timeline.issue <= stop))
    for index in inside.tolist():
        lane = int(timeline.unit[index])
        top = _TOP + _LANE * lane + (_LANE - _BAR) / 2
        issue, release, retire = (int(times[index]) for times in (timeline.issue, timeline.release, timeline.retire))
        tip = f"{executed.kind(index)} {executed.name(index)}: cycles {issue:,} to {retire:,} ({retire - issue + 1:,})"
        family = executed.family(index)
        if retire > release:
            parts.append(svg.rectangle(x(release + 1), top + _BAR - 6, x(retire + 1) - x(release + 1), 6, f"bar tail {family}"))
        width = x(release + 1) - x(issue)
        if width <= 0:
            continue
        parts.append(svg.rectangle(x(issue), top, max(width, 0.6), _BAR, f"bar {family}", tip=tip))
        label = next((name for name in _labels(executed, index) if len(name) * _CHARACTER < width - 6), "")
        if label:
            parts.append(svg.text(x(issue) + width / 2, top + _BAR / 2 + 4, label, "inside", anchor="middle"))
    parts.append(
        svg.text(_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, height - 6, f"cycles after cycle {start:,}", "axis", anchor="middle")
    )
    return svg.drawing(_WIDTH, height, title, parts)


def _labels(executed: Executed, index: int) -> tuple[str, ...]:
    """Return what a bar may be called, longest first."""
    kind, part = executed.kind(index), executed.part(index)
    what = part if kind == "Dot" else kind
    return (f"{kind} {part}", what, what[:3])


def _ticks(start: int, stop: int) -> list[int]:
    """Return cycles a round step apart: 1, 2 or 5 times a power of ten."""
    step = 1
    for factor in itertools.cycle((2, 2.5, 2)):
        if (stop - start) / step <= _TICKS:
            break
        step = round(step * factor)
    return list(range(start, stop + 1, step))
