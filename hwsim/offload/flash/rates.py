"""Closed forms for flash: what a drive reads and programs in the long run, and the least time that a set of pages takes.

Everything takes a `Geometry` that may be a grid and arrays that broadcast with it. The forms speak of the machine that `events`
simulates and say of it:

- `die_rate`, `stream_time`: exact for one die whose pages come in whole plane groups.
- `drive_rate`: exact in the long run for sequential streams of one kind over all channels, dies and planes where commands take no
  bus time; an upper bound with them (a command may come to a busy bus).
- `queued_rate`, `mixed_rate`, `placed_time`: bounds that no load beats. How close a load comes is a matter of order and of
  chance, which the events know. `tests/hwsim/offload/test_flash_rates.py` holds both kinds of statement over random drives.

x: bus time of a page's data, c: of its command, P: planes, D: dies of a channel.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from hwsim.errors import SpecError
from hwsim.offload.flash.geometry import Count, Geometry
from hwsim.units import BytesPerSecond, Seconds, Value, maximum, minimum

__all__ = ["die_period", "die_rate", "drive_rate", "mixed_rate", "placed_time", "queued_rate", "read_latency", "stream_time"]


def die_period(geometry: Geometry, *, is_program: bool = False) -> Seconds:
    """Return the time from one whole plane group of a die to the next, its bus being free.

    With a cache register the array and the bus overlap: P c + max(tR, P x) for reads, whose command the array waits for, and
    max(tPROG, P (c + x)) for programs. Without one they add.
    """
    moving = geometry.transfer * cast(Value, geometry.planes)
    commands = geometry.command * cast(Value, geometry.planes)
    if is_program:
        coming = commands + moving
        return maximum(geometry.program, coming) if geometry.has_cache_register else geometry.program + coming
    if geometry.has_cache_register:
        return commands + maximum(geometry.sense, moving)
    return commands + geometry.sense + moving


def die_rate(geometry: Geometry, *, is_program: bool = False) -> BytesPerSecond:
    """Return the long-run rate of one die with the bus to itself.

    It is P page / tR (or tPROG) where the array is the slower part and commands take no time.
    """
    return geometry.page * cast(Value, geometry.planes) / die_period(geometry, is_program=is_program)


def drive_rate(geometry: Geometry, *, is_program: bool = False) -> BytesPerSecond:
    """Return the long-run rate of all channels: the lesser of the buses and of the dies behind them."""
    bus = geometry.page / (geometry.transfer + geometry.command)
    dies = die_rate(geometry, is_program=is_program) * cast(Value, geometry.dies_per_channel)
    return minimum(bus, dies) * cast(Value, geometry.channels)


def read_latency(geometry: Geometry) -> Seconds:
    """Return the time of one page read from an idle drive: command, sense, transfer."""
    return geometry.command + geometry.sense + geometry.transfer


def queued_rate(geometry: Geometry, depth: Count) -> BytesPerSecond:
    """Return the read rate with `depth` pages outstanding on the whole drive: Little's law, and never above `drive_rate`.

    Reached where the outstanding pages lie on different dies and meet on no bus; less otherwise.
    """
    if not np.all(np.asarray(depth) >= 1):
        raise SpecError(f"Flash queue depth must be at least 1, not {depth!r}")
    return minimum(geometry.page * cast(Value, depth) / read_latency(geometry), drive_rate(geometry))


def mixed_rate(geometry: Geometry, read_share: Value) -> BytesPerSecond:
    """Return the most that a drive moves when this share of its pages, in any order, is read and the rest programmed.

    A page takes c + x of its bus, and of its die's array tR / P or tPROG / P; a die rests between the kinds and has no overlap
    there, so short runs of a kind stay below.
    """
    if not np.all((np.asarray(read_share) >= 0) & (np.asarray(read_share) <= 1)):
        raise SpecError(f"Flash read share must lie within 0 ... 1, not {read_share!r}")
    shared = cast(Value, np.asarray(geometry.planes) * np.asarray(geometry.dies_per_channel))
    array = (geometry.sense * read_share + geometry.program * (1 - read_share)) / shared
    return geometry.page / maximum(geometry.transfer + geometry.command, array) * cast(Value, geometry.channels)


def stream_time(geometry: Geometry, groups: Count, *, is_program: bool = False) -> Seconds:
    """Return the time of a number of whole plane groups on one die, from the first command to the last page."""
    moving = (geometry.transfer + geometry.command) * cast(Value, geometry.planes)
    array = geometry.program if is_program else geometry.sense
    return moving + array + die_period(geometry, is_program=is_program) * cast(Value, np.asarray(groups) - 1)


def placed_time(geometry: Geometry, pages: Count) -> Seconds:
    """Return the least time in which pages are read that lie in given places.

    pages: [..., channels, dies of a channel, planes]; leading axes and the fields of `geometry` broadcast.

    A plane senses its pages one after another, and the last one must still leave; a bus moves what lies behind it, after the first
    sense. The busiest place decides, so the mean rate of a set falls short of `drive_rate` by how unevenly its pages lie.
    """
    counts = np.asarray(pages)
    senses = counts.max(axis=(-1, -2)).astype(float)
    on_bus = counts.sum(axis=(-1, -2)).astype(float)
    by_plane = geometry.command + geometry.sense * senses + geometry.transfer
    by_bus = geometry.command + geometry.sense + geometry.transfer * on_bus
    by_command = (geometry.command + geometry.transfer) * on_bus
    time = maximum(by_plane, by_bus, by_command)
    busiest = np.where(on_bus > 0, cast(Value, time.value), 0.0).max(axis=-1)
    return Seconds(cast(Value, busiest))
