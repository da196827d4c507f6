"""What the memories of many engines sustain, as arrays: latencies, and the cycles from one beat to the next over many beats.

Derived from the laws of hwsim/memory/hbm2.py and of the port readers (docs/engine.md, sections 3 and 9), for sequential reads.
All times are in cycles of each engine.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.isa import SIDE_UNIT
from hwsim.arch.timing import FIFO_LATENCY, READ_LATENCY, WRITE_LATENCY
from hwsim.memory.models import MemoryKind
from hwsim.memory.parameters import Hbm2Parameters, hbm2_parameters

__all__ = ["Readers", "Sustained", "sustained"]

_PAGE_BANKS = 2


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Readers:
    """The port readers of engines, in the fields of `EngineConfig`; arrays [engines]."""

    clock_hz: np.ndarray
    ports: np.ndarray
    port_bytes: np.ndarray
    burst_beats: np.ndarray
    fifo_beats: np.ndarray
    memory: np.ndarray

    def taken(self, engines: np.ndarray) -> Readers:
        """Return the readers of some engines, by index."""
        return Readers(**{name: part[engines] for name, part in vars(self).items()})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sustained:
    """What memories sustain; arrays [engines], in cycles.

    Attributes:
        readers: the port readers.
        first: from an issued fetch to the first pop of its beats.
        period: from one beat of every port to the next where nothing else holds them.
        loop: from a pop to the pop of the beat that its credit asks for.
        window: around a refresh of one port: what is popped in it must have been asked for before it.
        side_read: from an address of the side port to its first beat.
        side_answer: from a written beat to its response.
        scattered, lined: from one response to the next, of words that open a row each and of words of one line.
    """

    readers: Readers
    first: np.ndarray
    period: np.ndarray
    loop: np.ndarray
    window: np.ndarray
    side_read: np.ndarray
    side_answer: np.ndarray
    scattered: np.ndarray
    lined: np.ndarray

    def slowing(self, demands: np.ndarray) -> np.ndarray:
        """Return by how much refreshes slow units down that would pop `demands` [units, engines] beats a cycle: 1 or more.

        Refreshes are staggered over the ports, and all ports are popped together. Between the request of the last beats that a
        port brings before its refresh and the first pop after it, for `window` cycles, at most the beats of a FIFO are popped.
        """
        least = self.readers.fifo_beats - self.readers.burst_beats + 1
        held = np.flatnonzero((self.window * demands > least).any(axis=0))
        factor = np.ones_like(demands)
        if not len(held):
            return factor
        # Units of an engine that want the same are slowed down alike.
        wanted = demands[:, held]
        like = (wanted[:, None] == wanted[None]).argmax(axis=0)
        unit, engine = np.nonzero(like == np.arange(len(like))[:, None])
        each, demand, found = held[engine], wanted[unit, engine], np.ones_like(wanted)
        bursts = (self.readers.fifo_beats // self.readers.burst_beats)[each]
        for number in np.unique(bursts):
            at = np.flatnonzero(bursts == number)
            found[unit[at], engine[at]] = np.maximum(_slowed(self.readers.taken(each[at]), int(number), demand[at]), 1)
        factor[:, held] = np.take_along_axis(found, like, axis=0)
        return factor


def _slowed(readers: Readers, around: int, demand: np.ndarray) -> np.ndarray:
    """Return by how much `hbm2` slows down readers with FIFOs of `around` bursts, followed burst by burst for a refresh interval.

    The port that brings a burst last is the one whose refresh, of those due when the burst came to it, is the latest: the burst
    starts when that refresh has ended, and not before the burst before it has been read (docs/engine.md, section 9).
    """
    hbm = hbm2_parameters()
    clocks, ports, beats = hbm.clock_hz / readers.clock_hz, readers.ports, readers.burst_beats
    refresh, opened, closed = _refresh_clocks(hbm)
    atoms = np.maximum(beats * readers.port_bytes // hbm.atom_bytes, 1)
    access, beat = atoms * hbm.t_ccd_s, np.maximum(readers.port_bytes // hbm.atom_bytes, 1) * hbm.t_ccd_s
    arrival = hbm.t_cl + hbm.reply
    # What opening a page costs a burst, for the bursts of one round of pages.
    in_page = np.maximum(_page_bytes(hbm) // (beats * readers.port_bytes), 1)
    opening = np.where(np.arange(int(in_page.max()))[:, None] % in_page == 0, closed, 0)
    engines, pop = len(demand), 1 / demand
    interval, slots, pops = hbm.t_refi / clocks, (ports + 1) / hbm.t_refi, (beats - 1) * pop
    slot, ready = hbm.t_refi / (ports + 1), refresh + opened
    # After the first bursts, which find full credit.
    begun = 2 * around
    steps = int(np.ceil((interval * demand / beats).max())) + begun + 2
    popped, last = np.zeros((steps, engines)), np.zeros(engines)
    # First column commands of the burst before: of a port without a refresh lately, and of the port that was last.
    start, latest = np.full(engines, -np.inf), np.full(engines, -np.inf)
    before = start
    for step in range(steps):
        credit = popped[step - around] if step >= around else np.zeros(engines)
        visible = np.ceil((credit + 1) * clocks) + hbm.request
        bus = np.maximum(visible, start + access)
        # The last refresh due until then: of port 1 to `ports` in this interval, or of the last port in the interval before.
        turn = np.floor(bus / hbm.t_refi)
        port = np.minimum(np.floor((bus - turn * hbm.t_refi + 0.5) * slots), ports)
        is_before = port < 1
        due = (turn - is_before) * hbm.t_refi + np.floor(np.where(is_before, ports, port) * slot)
        # It begins when the burst before, if that came to the channel first, has been read.
        closing = np.where(before < due, np.maximum(due, start + (access + hbm.t_rtp - hbm.t_ccd_s)), due)
        row = opening[step % len(opening)]
        latest = np.maximum(np.maximum(np.maximum(visible, latest) + row, latest + access), closing + ready)
        start, before = np.maximum(np.maximum(visible, start) + row, bus), bus
        first = np.maximum(last + pop, np.ceil((latest + (arrival + beat)) / clocks) + FIFO_LATENCY)
        last = np.maximum(first + pops, np.ceil((latest + (arrival + access)) / clocks) + FIFO_LATENCY)
        popped[step] = last
    # As many whole intervals as there are, and the bursts in them.
    whole = np.maximum(np.floor((last - popped[begun]) / interval), 1) * interval
    end = np.minimum((popped <= popped[begun] + whole).sum(axis=0) - 1, steps - 2)
    ended, after = np.take_along_axis(popped, np.stack([end, end + 1]), axis=0)
    part = np.minimum((popped[begun] + whole - ended) / (after - ended), 1)
    factor: np.ndarray = whole * demand / ((end - begun + part) * beats)
    return factor


def sustained(readers: Readers) -> Sustained:
    """Return what the memories of engines sustain, by their kinds; `stalling` is taken as `ideal`."""
    ideal, hbm2 = _ideal(readers), _hbm2(readers, hbm2_parameters())
    is_hbm2 = readers.memory == MemoryKind.HBM2
    names = [field.name for field in dataclasses.fields(Sustained) if field.name != "readers"]
    return Sustained(readers=readers, **{name: np.where(is_hbm2, getattr(hbm2, name), getattr(ideal, name)) for name in names})


def _credit_period(readers: Readers, loop: np.ndarray) -> np.ndarray:
    """Return the period that credits allow: a FIFO of beats goes round in a loop and the rest of a burst."""
    return (loop + readers.burst_beats - 1) / readers.fifo_beats


def _ideal(readers: Readers) -> Sustained:
    one = np.ones(len(readers.ports))
    loop = one * (1 + READ_LATENCY + FIFO_LATENCY)
    return Sustained(
        readers=readers,
        first=loop,
        period=np.maximum(one, _credit_period(readers, loop)),
        loop=loop,
        window=0 * one,
        side_read=one * READ_LATENCY,
        side_answer=one * WRITE_LATENCY,
        scattered=one,
        lined=one,
    )


def _page_bytes(hbm: Hbm2Parameters) -> int:
    """Return the bytes of a page: a row in each of two banks."""
    return _PAGE_BANKS * hbm.row_bytes


def _refresh_clocks(hbm: Hbm2Parameters) -> tuple[int, int, int]:
    """Return the clocks of a refresh with open rows; of opening a page where no row is open; and where other rows are.

    The second bank of a page is activated later, but its first atom comes later too.
    """
    opened = max(hbm.t_rcd, hbm.t_rrd_s + hbm.t_rcd - hbm.t_ccd_s)
    return hbm.t_rp + hbm.t_rfc, opened, hbm.t_rp + opened


def _hbm2(readers: Readers, hbm: Hbm2Parameters) -> Sustained:
    clocks = hbm.clock_hz / readers.clock_hz
    refresh, opened, closed = _refresh_clocks(hbm)
    page_beats = _page_bytes(hbm) / readers.port_bytes
    page_clocks = _page_bytes(hbm) // hbm.atom_bytes * hbm.t_ccd_s
    access = np.minimum(np.maximum(readers.burst_beats * readers.port_bytes // hbm.atom_bytes, 1) * hbm.t_ccd_s, page_clocks)
    # A page is opened while the access before it is read. After a refresh, the first one in every pair of banks closes no row.
    fresh = hbm.bank_groups * hbm.banks_per_group / _PAGE_BANKS * page_clocks / hbm.t_refi
    exposed = fresh * np.maximum(0, opened - access) + (1 - fresh) * np.maximum(0, closed - access)
    limited = (page_clocks + exposed) / page_beats / clocks / (1 - (refresh + opened) / hbm.t_refi)
    beat = np.maximum(readers.port_bytes // hbm.atom_bytes, 1) * hbm.t_ccd_s
    around = hbm.request + hbm.t_cl + beat + hbm.reply
    loop = 1 + np.ceil(around / clocks) + FIFO_LATENCY
    words = _page_bytes(hbm) // SIDE_UNIT
    answers = 1 / clocks / (1 - refresh / hbm.t_refi)
    return Sustained(
        readers=readers,
        first=1 + np.ceil((around + closed) / clocks) + FIFO_LATENCY,
        period=np.maximum(np.maximum(limited, 1), _credit_period(readers, loop)),
        loop=loop,
        window=(refresh + opened) / clocks + loop,
        side_read=np.ceil((hbm.request + opened + hbm.t_cl + hbm.t_ccd_s + hbm.reply) / clocks),
        side_answer=np.ceil((hbm.request + hbm.t_rcd + hbm.t_cwl + hbm.t_ccd_s + hbm.reply) / clocks),
        scattered=hbm.t_rcd * answers,
        lined=np.maximum(1, (hbm.t_ccd_l * (words - 1) + hbm.t_rcd) / words * answers),
    )
