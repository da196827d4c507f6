"""The picture of systems over contexts: a line for each, its marks coloured by what binds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources

from lamforge.flow.offload.compare import Comparison, Line
from reports.pictures import svg
from reports.pictures.causes import COLOURS, kind_of
from reports.text.figures import tokens_text

__all__ = ["FIGURES", "contexts_picture"]

FIGURES: Mapping[str, str] = {
    "token_per_s": "token/s, prompts included",
    "first_token_s": "seconds to the first token",
    "step_s": "seconds between tokens",
    "joules_per_token": "joules a token",
    "usd_per_million_tokens": "USD a million tokens",
}
"""Figures of a `Line` that can be drawn, and what the axis of each says."""

_WIDTH, _HEIGHT = 1060, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 210, 14, 46
_EVERY = 4
"""Points from one mark to the next."""
_LABEL_GAP = 14
Scale = Callable[[float], float]


def contexts_picture(found: Comparison, figure: str, *, is_alone: bool = False) -> str:
    """Return a figure of FIGURES over contexts as SVG, both axes logarithmic; `is_alone` brings colours along."""
    contexts = found.contexts
    values = [value for line in found.lines for value in line.values(figure) if value is not None]
    if not values:
        return svg.drawing(_WIDTH, 60, "The workload fits no system", [svg.text(_LEFT, 36, "The workload fits no system.", "axis")])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    first, last = math.log2(contexts[0]), math.log2(contexts[-1])

    def x(tokens: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log2(tokens) - first) / ((last - first) or 1.0)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (math.log10(value) - low) / (high - low)

    parts = [f"<style>{_style()}</style>"] if is_alone else []
    for power in range(low, high + 1):
        parts.append(svg.line(_LEFT, y(10.0**power), _WIDTH - _RIGHT, y(10.0**power), "grid"))
        parts.append(svg.text(_LEFT - 8, y(10.0**power) + 4, f"{10.0**power:g}", "tick", anchor="end"))
    shown = [2.0**power for power in range(math.ceil(first), math.floor(last) + 1, 2)]
    parts += [svg.text(x(tokens), _HEIGHT - _BOTTOM + 18, tokens_text(tokens), "tick", anchor="middle") for tokens in shown]
    ends: list[tuple[float, float, str]] = []
    for line in found.lines:
        points = [(x(tokens), y(value)) for tokens, value in zip(contexts, line.values(figure), strict=True) if value is not None]
        if not points:
            continue
        parts.append(svg.path(points, "line", tip=line.contender.title))
        parts += _marks(line, figure, contexts, x, y)
        ends.append((*points[-1], line.contender.name))
    for (across, up, name), place in zip(ends, _spread([up for _, up, _ in ends]), strict=True):
        parts.append(svg.path([(across + 5, up), (_WIDTH - _RIGHT + 8, place)], "leader"))
        parts.append(svg.text(_WIDTH - _RIGHT + 12, place + 4, name, "tick"))
    parts.append(svg.text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, "prompt, tokens", "axis", anchor="middle"))
    parts.append(svg.text(14, (_TOP + _HEIGHT - _BOTTOM) / 2, FIGURES[figure], "axis", anchor="middle", turn=-90))
    picture = svg.drawing(_WIDTH, _HEIGHT, f"{FIGURES[figure]} over contexts", parts)
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) if is_alone else picture


def _marks(line: Line, figure: str, contexts: Sequence[float], x: Scale, y: Scale) -> list[str]:
    marks = []
    for index, (tokens, value, cause) in enumerate(zip(contexts, line.values(figure), line.binding, strict=True)):
        if value is not None and cause is not None and index % _EVERY == 0:
            where = f"{line.contender.title}, {tokens_text(tokens)} tokens, batch {line.batch[index]:.0f}"
            tip = f"{where}: {value:.4g}; {cause} binds"
            marks.append(svg.rectangle(x(tokens) - 4, y(value) - 4, 8, 8, f"bar {COLOURS[kind_of(cause)]}", tip=tip, radius=4))
    return marks


def _spread(places: Sequence[float]) -> list[float]:
    """Return places for labels, in the same order, at least a line apart and inside the drawing."""
    order = sorted(range(len(places)), key=places.__getitem__)
    spread = [0.0] * len(places)
    lowest = float(_TOP)
    for rank, index in enumerate(order):
        room = _HEIGHT - _BOTTOM - _LABEL_GAP * (len(order) - 1 - rank)
        lowest = spread[index] = min(max(places[index], lowest), room)
        lowest += _LABEL_GAP
    return spread


def _style() -> str:
    """Return the colours and lines of a page for a picture that stands alone."""
    folder = resources.files("reports.pages") / "templates"
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("report.css", "offload.css"))
