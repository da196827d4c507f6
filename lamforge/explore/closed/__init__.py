"""The closed form: what a decoded token of every candidate costs on its engine, from the schedule and the laws of time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.memory.sustained import Readers, sustained
from lamforge.explore.candidates import Candidates
from lamforge.explore.closed.schedule import PACED, Token, demands_of, followed_groups
from lamforge.explore.closed.sizes import Sizes, sizes_of

__all__ = ["ClosedForm", "closed"]

_AT_ONCE = 4096
"""Candidates whose schedules are computed together: their arrays stay in a processor's cache."""
_IN_MEMORY = 1 << 16
"""Candidates that are taken together: what is computed of all of them fits the memory of a small machine."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClosedForm:
    """What one run of the program `decode` costs at the first position with a full window; arrays [candidates].

    The parts `stream`, `matrix` and `exposed` sum to `cycles`. Where `fits` is false, all cycles are NaN and bytes mean nothing.

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
    count = len(every.batch)
    forms = [_closed(_taken(every, slice(first, first + _IN_MEMORY))) for first in range(0, max(count, 1), _IN_MEMORY)]
    return forms[0] if len(forms) == 1 else _joined(forms)


def _closed(c: Candidates) -> ClosedForm:
    # A shape that no engine runs may have heads of no words, or no rows.
    with np.errstate(divide="ignore"):
        sizes = sizes_of(c)
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
    slowing = np.ones((len(PACED), len(c.batch)))
    fitting = np.flatnonzero(sizes.fits)
    slowing[:, fitting] = _taken(rates, fitting).slowing(demands_of(_taken(c, fitting), _taken(sizes, fitting)))
    cycles, layer, busy = (np.full(len(c.batch), np.nan) for _ in range(3))
    followed = followed_groups(sizes)
    for where in _alike(sizes):
        token = Token(_taken(c, where), _taken(sizes, where), _taken(rates, where), slowing[:, where], followed[where])
        parts, counts = (token.prologue(), token.layer(), token.head()), (1, c.layers[where], 1)
        layer[where] = parts[1].cycles
        cycles[where] = sum(part.cycles * count for part, count in zip(parts, counts, strict=True))
        busy[where] = sum(part.busy * count for part, count in zip(parts, counts, strict=True))
    # A sum pops a beat a cycle unless the memory holds it.
    stream = np.minimum(sizes.stream_beats * np.maximum(rates.period, slowing[PACED.index("sum")]), busy)
    return ClosedForm(
        cycles=cycles,
        layer=layer,
        stream=stream,
        matrix=busy - stream,
        exposed=cycles - busy,
        stream_bytes=sizes.stream_bytes,
        side_read_bytes=sizes.side_read_bytes,
        side_write_bytes=sizes.side_write_bytes,
        fits=sizes.fits,
        lacking={name: np.maximum(short, 0) for name, short in sizes.lacking.items()},
    )


def _joined(forms: list[ClosedForm]) -> ClosedForm:
    """Return the forms of candidates one after the other as one."""
    names = [field.name for field in dataclasses.fields(ClosedForm) if field.name != "lacking"]
    lacking = {name: np.concatenate([form.lacking[name] for form in forms]) for name in forms[0].lacking}
    return ClosedForm(**{name: np.concatenate([getattr(form, name) for form in forms]) for name in names}, lacking=lacking)


def _alike(sizes: Sizes) -> Iterator[np.ndarray]:
    """Yield indices of candidates that fit and have the same order of steps, those with most followed groups first."""
    a, followed = sizes.attention, followed_groups(sizes)
    kind = (a.overlap * 2 + a.has_sinks) * 2 + (a.group_size % a.queries > 0)
    order = np.lexsort((-followed, kind))
    order = order[sizes.fits[order]]
    for part in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        for first in range(0, len(part), _AT_ONCE):
            yield part[first : first + _AT_ONCE]


def _taken(arrays: Any, where: np.ndarray | slice) -> Any:
    """Return the entries `where` of all arrays of a dataclass, those of dataclasses in it too; other values as they are."""
    values = {}
    for name, value in vars(arrays).items():
        is_array = isinstance(value, np.ndarray)
        values[name] = value[where] if is_array else _taken(value, where) if dataclasses.is_dataclass(value) else value
    return type(arrays)(**values)
