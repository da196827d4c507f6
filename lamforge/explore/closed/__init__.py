"""The closed form: what a decoded token of every candidate costs on its engine, from the schedule and the laws of time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from hwsim.memory.sustained import Readers, sustained
from lamforge.explore.candidates import Candidates
from lamforge.explore.closed.schedule import Token, followed_groups
from lamforge.explore.closed.sizes import Sizes, sizes_of

__all__ = ["ClosedForm", "closed"]

_AT_ONCE = 2048
"""Candidates that are computed together: their arrays stay in a processor's cache."""
Arrays = TypeVar("Arrays")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClosedForm:
    """What one run of the program `decode` costs at the first position with a full window; arrays [candidates].

    The parts `stream`, `matrix` and `exposed` sum to `cycles`. Where `fits` is false, the other arrays mean nothing.

    Attributes:
        cycles: cycles from the start of the run to its end, float64, as `Timeline.cycles`.
        layer: cycles of one layer, float64.
        stream: cycles in which beats are popped, or awaited because the memory brings them more slowly.
        matrix: cycles of the matrix unit besides: second halves of 2-bit words, and drains.
        exposed: cycles in which the matrix unit waits for another unit, for the first beats of a stream or for control.
        stream_bytes, side_read_bytes, side_write_bytes: int64, equal to those of `Timeline`.
        fits: whether the compiler takes the candidate.
        lacking: by memory, how much is missing there, int64: bytes behind each port (`channel`), words, segments, entries,
            instructions (`program`), rows (`batch`); 0 where there is enough.
    """

    cycles: np.ndarray
    layer: np.ndarray
    stream: np.ndarray
    matrix: np.ndarray
    exposed: np.ndarray
    stream_bytes: np.ndarray
    side_read_bytes: np.ndarray
    side_write_bytes: np.ndarray
    fits: np.ndarray
    lacking: Mapping[str, np.ndarray]


def closed(candidates: Candidates) -> ClosedForm:
    """Return what candidates cost: bytes exactly, cycles by the schedule of one layer (docs/exploration.md)."""
    names = [field.name for field in dataclasses.fields(Candidates)]
    arrays = np.broadcast_arrays(*(np.atleast_1d(getattr(candidates, name)) for name in names))
    every = Candidates(**dict(zip(names, arrays, strict=True)))
    sizes = sizes_of(every)
    cycles, layer, stream, matrix = (np.zeros(len(sizes.fits)) for _ in range(4))
    for where in _alike(sizes):
        parts = _spent(_taken(every, where), _taken(sizes, where), followed_groups(sizes)[where])
        for array, part in zip((cycles, layer, stream, matrix), parts, strict=True):
            array[where] = part
    return ClosedForm(
        cycles=cycles,
        layer=layer,
        stream=stream,
        matrix=matrix,
        exposed=cycles - stream - matrix,
        stream_bytes=sizes.stream_bytes,
        side_read_bytes=sizes.side_read_bytes,
        side_write_bytes=sizes.side_write_bytes,
        fits=sizes.fits,
        lacking={name: np.maximum(short, 0) for name, short in sizes.lacking.items()},
    )


def _alike(sizes: Sizes) -> Iterator[np.ndarray]:
    """Yield indices of candidates whose schedules have the same order of steps, those with most followed groups first."""
    a, followed = sizes.attention, followed_groups(sizes)
    kind = (a.overlap * 2 + a.has_sinks) * 2 + (a.group_size % a.queries > 0)
    order = np.lexsort((-followed, kind))
    order = order[sizes.is_possible[order]]
    for part in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        for first in range(0, len(part), _AT_ONCE):
            yield part[first : first + _AT_ONCE]


def _spent(c: Candidates, sizes: Sizes, followed: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return cycles, those of a layer, of the stream, and of the matrix unit besides."""
    rates = sustained(
        Readers(
            clock_hz=c.clock_hz,
            ports=c.ports,
            port_bytes=c.port_bits // 8,
            burst_beats=c.burst_beats,
            fifo_beats=c.fifo_beats,
            memory=c.memory,
        )
    )
    token = Token(c, sizes, rates, followed)
    prologue, layer, head = token.prologue(), token.layer(), token.head()

    def total(name: str) -> np.ndarray:
        values: list[np.ndarray] = [getattr(part, name) for part in (prologue, layer, head)]
        return values[0] + c.layers * values[1] + values[2]

    busy = total("busy")
    slowed = np.maximum(rates.period, token.paces["sum"])
    stream = np.minimum(sizes.stream_beats * slowed, busy)
    return total("cycles"), layer.cycles, stream, busy - stream


def _taken(arrays: Arrays, where: np.ndarray) -> Arrays:
    """Return the entries `where` of all arrays of a dataclass, those of dataclasses in it too."""
    values = {}
    for field in dataclasses.fields(arrays):  # type: ignore[arg-type]
        value = getattr(arrays, field.name)
        is_array = isinstance(value, np.ndarray)
        values[field.name] = value[where] if is_array else _taken(value, where) if dataclasses.is_dataclass(value) else value
    return type(arrays)(**values)
