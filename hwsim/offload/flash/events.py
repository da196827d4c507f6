"""An event simulation of flash: when every page of a load moves over channels, dies and registers, to the picosecond.

Own code compiled with Numba, not simpy: one decode step of OPT-13B at batch 64 touches some 260,000 pages of 4 KB in every
layer, two to three events each. simpy resumes a Python generator for every event, a fraction of a million a second; the loop
here turns over 2.4 to 4 million events a second of one shared core, measured, in a handful of flat arrays.

The rules, in full:

- A die serves its pages in the order in which they come (no reordering). It takes together the pages at the head of its
  queue that are of one kind and in different planes, at most `planes` of them: one sense, or one program.
- A read: command on the bus, sense, then one bus transfer a page. With a cache register the sensed pages move over as soon
  as that register is empty, and the next sense may begin; without one the die waits until the last page has left.
- A program: one bus transfer a page (command and data), then the array programs. With a cache register the data of the next
  program come in meanwhile.
- A die comes to rest between reading and programming.
- A bus moves one thing at a time. Commands of reads go before data, else first come, first served.
- A page set begins when the set that it waits for has completed, and not before its own earliest time. Queue depths, barriers
  and dependent reads are all said this way.

Not modelled: erase and garbage collection, read retry, suspend, error correction time, differences between pages of a cell,
planes that sense independently of one another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError, shown
from hwsim.offload.flash.geometry import Geometry
from hwsim.offload.flash.kernel import ARRAY_BUSY, BUS_BUSY, DONE, Integers, events_of, new_state, run
from hwsim.units import Bytes, BytesPerSecond, Seconds

__all__ = ["NO_SET", "PICOSECONDS", "Load", "Outcome", "simulate", "ticks"]

PICOSECONDS = 1e12
"""Ticks of the simulation's clock in a second."""
NO_SET = -1
"""Predecessor of a page set that waits for none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Load:
    """Pages to move, in sets. Pages of one set come together, in the order of the arrays.

    Raises:
        SpecError: arrays of different lengths, or sets that wait for one another in a circle.
    """

    die: Integers
    """Die of each page, [pages]: channel * dies per channel + die behind the channel."""
    plane: Integers
    """Plane of each page, [pages]."""
    is_program: npt.NDArray[np.bool_]
    """Whether the page is programmed, [pages]; else it is read."""
    page_set: Integers
    """Set of each page, [pages], ascending."""
    after: Integers
    """The set that each set waits for, [sets], earlier than itself, or -1."""
    earliest: Seconds
    """When each set may begin at the earliest, [sets]."""
    moved: Bytes | None = None
    """Bytes that the bus moves of each page, [pages]; without it the whole page."""

    def __post_init__(self) -> None:
        pages, sets = len(self.die), len(self.after)
        lengths = {"plane": len(self.plane), "is_program": len(self.is_program), "page_set": len(self.page_set)}
        if self.moved is not None:
            lengths["moved"] = np.size(self.moved.value)
        for name, length in lengths.items():
            if length != pages:
                raise SpecError(f"Flash load {name} must have one entry for each of {pages} pages, not {length}")
        if np.size(self.earliest.value) != sets:
            raise SpecError(f"Flash load earliest must have one entry for each of {sets} sets, not {np.size(self.earliest.value)}")
        if pages and (np.any(np.diff(self.page_set) < 0) or self.page_set[0] < 0 or self.page_set[-1] >= sets):
            raise SpecError(f"Flash load page_set must ascend within 0 ... {sets - 1}, not {shown(self.page_set)}")
        if np.any(self.after >= np.arange(sets)) or np.any(self.after < NO_SET):
            raise SpecError(f"Flash load after must name earlier sets or {NO_SET}, not {shown(self.after)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """When a load's pages were done, and how busy the flash was."""

    done: Integers
    """When each page was in the controller or programmed, [pages], in picoseconds."""
    bus_busy: Integers
    """Time for which each channel's bus was taken, [channels], in picoseconds."""
    array_busy: Integers
    """Time for which each die sensed or programmed, [dies], in picoseconds."""
    moved: Bytes
    """Bytes moved over all buses."""
    events: int
    """Events of the simulation."""

    @property
    def time(self) -> Seconds:
        """When the last page was done."""
        return Seconds(float(self.done.max(initial=0)) / PICOSECONDS)

    @property
    def rate(self) -> BytesPerSecond:
        """Bytes moved over the whole time."""
        return self.moved / self.time


def ticks(time: Seconds) -> Integers:
    """Return a time in whole picoseconds, rounded."""
    return np.rint(np.asarray(time.value) * PICOSECONDS).astype(np.int64)


def simulate(geometry: Geometry, load: Load) -> Outcome:
    """Return when the pages of a load are done on one drive.

    Raises:
        SpecError: a grid of drives, a die or plane that the drive does not have, or more moved of a page than it holds.
    """
    if not geometry.is_one:
        raise SpecError(f"Flash geometry must be one drive for a simulation, not a grid: {shown(geometry)}")
    dies, planes = int(geometry.total_dies), int(geometry.planes)
    for name, values, limit in (("die", load.die, dies), ("plane", load.plane, planes)):
        if len(values) and (values.min() < 0 or values.max() >= limit):
            raise SpecError(f"Flash load {name} must lie within 0 ... {limit - 1}, not {values.min()} ... {values.max()}")
    moved = geometry.page * np.ones(len(load.die)) if load.moved is None else load.moved
    if np.any(np.asarray(moved.value) > geometry.page.value):
        raise SpecError(
            f"Flash load moved must be at most the page of {shown(geometry.page)}, not {shown(float(np.max(moved.value)))}"
        )
    transfer = np.broadcast_to(ticks(moved / geometry.bus), (len(load.die),))
    times = [int(ticks(time)) for time in (geometry.sense, geometry.program, geometry.command)]
    state = new_state(
        (load.die, load.plane, load.is_program.astype(np.int64), transfer),
        load.page_set,
        ticks(load.earliest),
        int(geometry.channels),
        int(geometry.dies_per_channel),
        [*times, planes, int(geometry.has_cache_register)],
    )
    run(state, np.ascontiguousarray(load.after, np.int64))
    return Outcome(
        done=state.pages[:, DONE].copy(),
        bus_busy=state.buses[:, BUS_BUSY].copy(),
        array_busy=state.dies[:, ARRAY_BUSY].copy(),
        moved=Bytes(float(np.sum(moved.value))),
        events=events_of(state),
    )
