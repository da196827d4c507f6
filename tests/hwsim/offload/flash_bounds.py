"""Closed forms that the event simulation of flash is held against, and the loads of one queue.

`stream_time` is exact for one die whose pages come in whole plane groups. `queued_rate`, `mixed_rate` and `placed_time` are bounds
that no load beats. Everything takes a `Geometry` that may be a grid and arrays that broadcast with it.
"""

from typing import cast

import numpy as np

from hwsim.offload.flash.events import NO_SET, Load
from hwsim.offload.flash.geometry import Count, Geometry, die_period, drive_rate
from hwsim.units import BytesPerSecond, Seconds, Value, maximum, minimum

__all__ = ["mixed_rate", "placed_time", "queued", "queued_rate", "read_latency", "stream_time", "together"]


def together(die: np.ndarray, plane: np.ndarray, is_program: np.ndarray) -> Load:
    """Return the load whose pages all come at time zero."""
    alone = np.full(1, NO_SET)
    page_set, earliest = np.zeros(len(die), np.int64), Seconds(np.zeros(1))
    return Load(die=die, plane=plane, is_program=is_program, page_set=page_set, after=alone, earliest=earliest)


def queued(die: np.ndarray, plane: np.ndarray, is_program: np.ndarray, depth: int) -> Load:
    """Return the load of `depth` askers, each with one page outstanding; page i is asked for when page i - depth is done."""
    pages = np.arange(len(die))
    after, earliest = np.maximum(pages - depth, NO_SET), Seconds(np.zeros(len(die)))
    return Load(die=die, plane=plane, is_program=is_program, page_set=pages, after=after, earliest=earliest)


def read_latency(geometry: Geometry) -> Seconds:
    """Return the time of one page read from an idle drive: command, sense, transfer."""
    return geometry.command + geometry.sense + geometry.transfer


def queued_rate(geometry: Geometry, depth: Count) -> BytesPerSecond:
    """Return the read rate with `depth` pages outstanding on the whole drive: Little's law, and never above `drive_rate`.

    Reached where the outstanding pages lie on different dies and meet on no bus; less otherwise.
    """
    return minimum(geometry.page * cast(Value, depth) / read_latency(geometry), drive_rate(geometry))


def mixed_rate(geometry: Geometry, read_share: Value) -> BytesPerSecond:
    """Return the most that a drive moves when this share of its pages, in any order, is read and the rest programmed.

    A page takes c + x of its bus, and of its die's array tR / P or tPROG / P; a die rests between the kinds and has no overlap
    there, so short runs of a kind stay below.
    """
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
