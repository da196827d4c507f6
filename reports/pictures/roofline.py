"""Knows how close each kind of matrix work comes to what memory and multipliers allow, as numbers and as a picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, Format
from hwsim.machine.time.work import AXPY, work_of
from lamforge.flow.executed import Executed
from lamforge.flow.simulate import Timing
from reports.pictures import svg

__all__ = ["Point", "points", "roofline_picture"]

_LANES = 32
_SPARSE_INPUTS = 64
_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 20, 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """The matrix work of one kind of node in one run.

    Attributes:
        name: node and, inside attention, what is done.
        family: its colour (lamforge.flow.executed.FAMILIES).
        program: `decode` or `prefill`.
        multiply_accumulates: products, those with the zeros of padding and 2:4 pruning included.
        stream_bytes: bytes consumed.
        cycles: cycles of the matrix unit from the end of the work before to the end of this, waits included.
    """

    name: str
    family: str
    program: str
    multiply_accumulates: int
    stream_bytes: int
    cycles: int

    @property
    def intensity(self) -> float:
        """Products per byte."""
        return self.multiply_accumulates / self.stream_bytes

    @property
    def rate(self) -> float:
        """Products per cycle."""
        return self.multiply_accumulates / self.cycles


def points(simulation: Timing) -> list[Point]:
    """Return the points of a run, in the order the work first appears."""
    executed, trace, timeline, engine = (
        Executed(simulation=simulation),
        simulation.trace,
        simulation.timeline,
        simulation.engine,
    )
    amount = work_of(trace, engine).amount
    mine = np.flatnonzero(timeline.unit == Unit.MATRIX)
    before = -1
    sums: dict[tuple[str, str], np.ndarray] = {}
    dots = {int(index): place for place, index in enumerate(trace.rows_of(Dot))}
    inner, rows = (trace.values(Dot, name, trace.rows_of(Dot)) for name in ("inner", "rows"))
    for index in mine.tolist():
        kind, blocks, body, per_header, drain = amount[index].tolist()
        cycles = int(timeline.release[index]) - before
        before = int(timeline.release[index])
        if kind == AXPY:
            beats, products = blocks, blocks * engine.tile.slices * _LANES * (drain // _LANES)
        else:
            place = dots[index]
            beats = blocks * body + -(-blocks // per_header)
            products = int(rows[place]) * blocks * engine.tile.slices * int(inner[place]) * _LANES
        what = executed.kind(index)
        part = executed.part(index)
        name = {"Score": "attention scores", "Mix": "attention mix"}.get(what, part)
        entry = sums.setdefault((name, executed.family(index)), np.zeros(3, dtype=np.int64))
        entry += (products, beats * engine.tile.beat_bytes, cycles)
    return [
        Point(
            name=name,
            family=family,
            program=simulation.program.name,
            multiply_accumulates=int(entry[0]),
            stream_bytes=int(entry[1]),
            cycles=int(entry[2]),
        )
        for (name, family), entry in sums.items()
        if entry[0] and entry[1]
    ]


def _per_slice(simulations: Sequence[Timing]) -> int:
    """Return the most products a slice makes per cycle and row: twice its lanes where 2:4 zeros count."""
    for simulation in simulations:
        trace = simulation.trace
        if (trace.values(Dot, "format", trace.rows_of(Dot)) == Format.W2S).any():
            return _SPARSE_INPUTS
    return _LANES


def roofline_picture(simulations: Sequence[Timing]) -> str:
    """Return the roofline of runs on one engine as SVG: filled marks for decode, hollow ones for prefill."""
    engine: EngineConfig = simulations[0].engine
    found = [point for simulation in simulations for point in points(simulation)]
    row_peak = engine.tile.slices * _per_slice(simulations)
    peaks = [(f"{rows} token row{'s' if rows > 1 else ''}", row_peak * rows) for rows in sorted({1, engine.tile.tokens})]
    low_x = 2.0 ** math.floor(math.log2(min([0.5, *(point.intensity for point in found)])))
    high_x = 2.0 ** math.ceil(math.log2(max([16.0, *(1.2 * point.intensity for point in found)])))
    high_y = 2.0 ** math.ceil(math.log2(1.2 * peaks[-1][1]))
    low_y = 2.0 ** math.floor(math.log2(min([peaks[0][1] / 8, *(0.9 * point.rate for point in found)])))

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(value / low_x) / math.log(high_x / low_x)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * math.log(value / low_y) / math.log(high_y / low_y)

    parts: list[str] = []
    for value in _powers(low_x, high_x):
        parts += [
            svg.line(x(value), _TOP, x(value), y(low_y), "grid"),
            svg.text(x(value), y(low_y) + 18, _number(value), "tick", anchor="middle"),
        ]
    for value in _powers(low_y, high_y):
        parts += [
            svg.line(_LEFT, y(value), x(high_x), y(value), "grid"),
            svg.text(_LEFT - 8, y(value) + 4, _number(value), "tick", anchor="end"),
        ]
    beat = engine.tile.beat_bytes
    knee = peaks[-1][1] / beat
    start = max(low_x, low_y / beat)
    parts.append(svg.path([(x(start), y(start * beat)), (x(min(knee, high_x)), y(min(peaks[-1][1], high_x * beat)))], "roof"))
    for label, peak in peaks:
        first = min(peak / beat, high_x)
        parts += [
            svg.line(x(first), y(peak), x(high_x), y(peak), "roof"),
            svg.text(x(high_x) + 8, y(peak) + 4, f"{label}: {peak:,}", "label"),
        ]
    # Above the line and beyond the one-row knee: no decode point lies there.
    place = min(1.35 * peaks[0][1] / beat, high_x / 4)
    slope = math.degrees(math.atan2(y(start * beat) - y(4 * start * beat), x(4 * start) - x(start)))
    label = f"memory: {beat:,} bytes per cycle"
    parts.append(svg.text(x(place), y(place * beat) - 9, label, "label", turn=-slope))
    parts += _marks(found, x, y)
    parts.append(svg.text((_LEFT + x(high_x)) / 2, _HEIGHT - 10, "products per byte", "axis", anchor="middle"))
    parts.append(svg.text(18, (_TOP + y(low_y)) / 2, "products per cycle", "axis", anchor="middle", turn=-90))
    return svg.drawing(_WIDTH, _HEIGHT, f"Roofline of {engine.name}", parts)


def _marks(found: Sequence[Point], x: object, y: object) -> list[str]:
    assert callable(x) and callable(y)
    parts = []
    for point in found:
        across, up = x(point.intensity), y(point.rate)
        tip = (
            f"{point.name} ({point.program}): {point.intensity:.2f} products per byte,"
            f" {point.rate:,.0f} per cycle in {point.cycles:,} cycles"
        )
        shape = [(across, up - 7), (across + 7, up), (across, up + 7), (across - 7, up)]
        hollow = "" if point.program == "decode" else " hollow"
        parts.append(svg.path(shape, f"mark {point.family}{hollow}", tip=tip, is_closed=True))
    return parts


def _powers(low: float, high: float) -> list[float]:
    return [2.0**power for power in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
