"""How close each kind of matrix work comes to what memory and multipliers allow."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Dot, Format
from hwsim.machine.time.work import AXPY, work_of
from lamforge.flow.executed import Executed
from lamforge.flow.simulate import Timing

__all__ = ["Point", "Roof", "Roofline", "points", "roof", "roofline"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """The matrix work of one kind of node in one run.

    Attributes:
        name: node and, inside attention, what is done.
        family: group of the node, one of lamforge.flow.executed.FAMILIES.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roof:
    """Most products per cycle that the multipliers of an engine make for `rows` tokens at once."""

    rows: int
    products_per_cycle: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roofline:
    """The work of runs on one engine, and what bounds it; `roofs` goes from few tokens at once to many."""

    engine: EngineConfig
    roofs: tuple[Roof, ...]
    points: tuple[Point, ...]

    @property
    def bytes_per_cycle(self) -> int:
        """Most bytes that the stream ports bring in a cycle."""
        return self.engine.tile.beat_bytes


def roofline(timings: Sequence[Timing]) -> Roofline:
    """Return the roofline of runs on one engine."""
    engine = timings[0].engine
    formats = [format for timing in timings for format in _formats(timing)]
    roofs = (roof(engine, formats, rows) for rows in sorted({1, engine.tile.tokens}))
    return Roofline(engine=engine, roofs=tuple(roofs), points=tuple(point for timing in timings for point in points(timing)))


def roof(engine: EngineConfig, formats: Iterable[Format], rows: int) -> Roof:
    """Return the roof of `rows` tokens at once over streams of some formats."""
    # Where weights are pruned 2:4, their zeros count as products, so that a lane makes two.
    per_slice = max([LANES_PER_SLICE, *(format.sizes.inputs_per_cycle for format in formats)])
    return Roof(rows=rows, products_per_cycle=engine.tile.slices * per_slice * rows)


def points(timing: Timing) -> list[Point]:
    """Return the points of a run, in the order the work first appears."""
    executed, trace, timeline, engine = Executed(timing=timing), timing.trace, timing.timeline, timing.engine
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
            beats, products = blocks, blocks * engine.tile.slices * LANES_PER_SLICE * (drain // LANES_PER_SLICE)
        else:
            place = dots[index]
            beats = blocks * body + -(-blocks // per_header)
            products = int(rows[place]) * blocks * engine.tile.slices * int(inner[place]) * LANES_PER_SLICE
        name = {"Score": "attention scores", "Mix": "attention mix"}.get(executed.kind(index), executed.part(index))
        entry = sums.setdefault((name, executed.family(index)), np.zeros(3, dtype=np.int64))
        entry += (products, beats * engine.tile.beat_bytes, cycles)
    return [
        Point(
            name=name,
            family=family,
            program=timing.program.name,
            multiply_accumulates=int(entry[0]),
            stream_bytes=int(entry[1]),
            cycles=int(entry[2]),
        )
        for (name, family), entry in sums.items()
        if entry[0] and entry[1]
    ]


def _formats(timing: Timing) -> set[Format]:
    trace = timing.trace
    return {Format(code) for code in np.unique(trace.values(Dot, "format", trace.rows_of(Dot))).tolist()}
