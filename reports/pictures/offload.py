"""The picture of systems over contexts: a line for each, its marks coloured by the kind of what binds."""

import math
from collections.abc import Mapping, Sequence

from hwsim.offload.gpu_time import ARITHMETIC, LAUNCHES, MEMORY, PEERS
from hwsim.offload.systems.fpga import ENGINE as CARD_ENGINE
from hwsim.offload.systems.fpga import HBM
from hwsim.offload.systems.instinfer import DRIVE_LINK, ENGINE, FLASH
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, UP_LINK
from hwsim.offload.systems.triforce import DRAFT
from lamforge.flow.offload.compare import Comparison, Line
from reports.pages.environment import style
from reports.pictures import svg
from reports.pictures.chart import Axis, Chart, powers
from reports.text.figures import tokens_text

__all__ = ["COLOURS", "FIGURES", "KINDS", "contexts_picture", "kind_of"]

FIGURES: Mapping[str, str] = {
    "token_per_s": "token/s, prompts included",
    "first_token_s": "seconds to the first token",
    "step_s": "seconds between tokens",
    "joules_per_token": "joules a token",
    "usd_per_million_tokens": "USD a million tokens",
}
"""Figures of a `Line` that can be drawn, and what the axis of each says."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "memory": (MEMORY, HBM),
    "arithmetic": (ARITHMETIC, CARD_ENGINE, ENGINE, DRAFT),
    "link": (LINK, UP_LINK, DRIVE_LINK, PEERS),
    "flash": (FLASH, DRIVE),
    "host": (HOST,),
    "overhead": (LAUNCHES, FRAMEWORK),
}
"""Causes by kind."""
COLOURS = {"memory": "blue", "arithmetic": "amber", "link": "coral", "flash": "violet", "host": "green", "overhead": "grey"}
"""Class of the marks of each kind."""
_KIND = {cause: kind for kind, causes in KINDS.items() for cause in causes}

_LEFT, _RIGHT = 72, 210
_EVERY = 4
"""Points from one mark to the next."""
_LABEL_GAP = 14


def kind_of(cause: str) -> str:
    """Return the kind of a cause; raise KeyError for one that no system charges."""
    return _KIND[cause]


def contexts_picture(found: Comparison, figure: str, *, is_alone: bool = False) -> str:
    """Return a figure of FIGURES over contexts as SVG, both axes logarithmic; `is_alone` brings colours along."""
    values = [value for line in found.lines for value in line.values(figure) if value is not None]
    if not values:
        return svg.drawing(1060, 60, "The workload fits no system", [svg.text(_LEFT, 36, "The workload fits no system.", "axis")])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    first, last = found.contexts[0], found.contexts[-1]
    across = {tokens: tokens_text(tokens) for tokens in powers(first, last)[::2]}
    up = {10.0**power: f"{10.0**power:g}" for power in range(low, high + 1)}
    chart = Chart(
        title=f"{FIGURES[figure]} over contexts",
        x=Axis(low=first, high=last, title="prompt, tokens", ticks=across, is_logarithmic=True),
        y=Axis(low=10.0**low, high=10.0**high, title=FIGURES[figure], ticks=up, has_grid=True, is_logarithmic=True),
        height=460,
        left=_LEFT,
        right=_RIGHT,
        top=14,
        bottom=46,
    )
    parts = [f"<style>{style('offload')}</style>"] if is_alone else []
    ends: list[tuple[float, float, str]] = []
    for line in found.lines:
        points = [(tokens, value) for tokens, value in zip(found.contexts, line.values(figure), strict=True) if value is not None]
        if points:
            tokens, value = points[-1]
            parts += [chart.curve(points, "line", tip=line.contender.title), *_marks(chart, line, figure, found.contexts)]
            ends.append((chart.across(tokens), chart.up(value), line.contender.name))
    edge = chart.width - _RIGHT
    for (x, y, name), place in zip(ends, _spread([y for _, y, _ in ends], chart), strict=True):
        parts.append(svg.path([(x + 5, y), (edge + 8, place)], "leader"))
        parts.append(svg.text(edge + 12, place + 4, name, "tick"))
    picture = chart.drawing(parts)
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) if is_alone else picture


def _marks(chart: Chart, line: Line, figure: str, contexts: Sequence[float]) -> list[str]:
    marks = []
    for index, (tokens, value, cause) in enumerate(zip(contexts, line.values(figure), line.binding, strict=True)):
        if value is not None and cause is not None and index % _EVERY == 0:
            where = f"{line.contender.title}, {tokens_text(tokens)} tokens, batch {line.batch[index]:.0f}"
            tip = f"{where}: {value:.4g}; {cause} binds"
            marks.append(chart.dot(tokens, value, f"bar {COLOURS[kind_of(cause)]}", tip=tip))
    return marks


def _spread(places: Sequence[float], chart: Chart) -> list[float]:
    """Return places for labels, in the same order, at least a line apart and inside the drawing."""
    order = sorted(range(len(places)), key=places.__getitem__)
    spread = [0.0] * len(places)
    lowest = chart.top
    for rank, index in enumerate(order):
        room = chart.floor - _LABEL_GAP * (len(order) - 1 - rank)
        lowest = spread[index] = min(max(places[index], lowest), room)
        lowest += _LABEL_GAP
    return spread
