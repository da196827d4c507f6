"""What the memories of many engines sustain, as arrays: latencies, and the cycles from one beat to the next over many beats.

Derived from the laws of hwsim/memory/hbm2.py and of the port readers (docs/engine.md, sections 3 and 9), for sequential reads.
All times are in cycles of each engine.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hwsim.arch.timing import FIFO_LATENCY, READ_LATENCY, WRITE_LATENCY
from hwsim.memory.models import MemoryKind
from hwsim.memory.parameters import Hbm2Parameters, hbm2_parameters

__all__ = ["Readers", "Sustained", "sustained"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Readers:
    """The port readers of engines, in the fields of `EngineConfig`; arrays [engines]."""

    clock_hz: np.ndarray
    ports: np.ndarray
    port_bytes: np.ndarray
    burst_beats: np.ndarray
    fifo_beats: np.ndarray
    memory: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sustained:
    """What memories sustain; arrays [engines], in cycles.

    Attributes:
        first: from an issued fetch to the first pop of its beats.
        period: from one beat of every port to the next where nothing else holds them.
        loop: from a pop to the pop of the beat that its credit asks for.
        window: around a refresh of one port: pops that happen in it must have been asked for before it.
        stock: beats that were.
        between: from the refresh of one port to that of the next one; infinite without refreshes.
        side_read: from an address of the side port to its first beat.
        side_answer: from a written beat to its response.
        scattered, lined: from one response to the next, of words that open a row each and of words of one line.
    """

    first: np.ndarray
    period: np.ndarray
    loop: np.ndarray
    window: np.ndarray
    stock: np.ndarray
    between: np.ndarray
    side_read: np.ndarray
    side_answer: np.ndarray
    scattered: np.ndarray
    lined: np.ndarray

    def slowing(self, demand: np.ndarray) -> np.ndarray:
        """Return by how much refreshes slow a unit down that would pop `demand` beats a cycle, 1 or more.

        Refreshes are staggered over the ports, and all ports are popped together. Let the window of a refresh be `window` long
        and begin every `between` cycles: n = window // between windows are open at any time, and one more for the rest of the
        quotient. In each, at most `stock` beats are popped. What is popped in one interval is then bounded first where n
        windows are open, then where n + 1 are.
        """
        count = np.floor(self.window / self.between)
        rest = self.window - count * np.where(count > 0, self.between, 0)
        open_for = self.between - rest
        few = np.minimum(demand * open_for, self.stock / np.maximum(count, 1e-9))
        more = np.minimum(demand * rest, np.maximum(self.stock - count * few, 0) / (count + 1))
        slowed = demand * self.between / np.maximum(few + more, 1e-9)
        return np.where(np.isfinite(self.between), slowed, 1.0)


def sustained(readers: Readers) -> Sustained:
    """Return what the memories of engines sustain, by their kinds; `stalling` is taken as `ideal`."""
    ideal, hbm2 = _ideal(readers), _hbm2(readers, hbm2_parameters())
    is_hbm2 = readers.memory == MemoryKind.HBM2
    return Sustained(
        **{
            field.name: np.where(is_hbm2, getattr(hbm2, field.name), getattr(ideal, field.name))
            for field in dataclasses.fields(Sustained)
        }
    )


def _credit_period(readers: Readers, loop: np.ndarray) -> np.ndarray:
    """Return the period that credits allow: a FIFO of beats goes round in a loop and the rest of a burst."""
    return (loop + readers.burst_beats - 1) / readers.fifo_beats


def _ideal(readers: Readers) -> Sustained:
    one = np.ones(len(readers.ports))
    loop = one * (1 + READ_LATENCY + FIFO_LATENCY)
    return Sustained(
        first=loop,
        period=np.maximum(one, _credit_period(readers, loop)),
        loop=loop,
        window=0 * one,
        stock=one * readers.fifo_beats,
        between=np.full(len(one), np.inf),
        side_read=one * READ_LATENCY,
        side_answer=one * WRITE_LATENCY,
        scattered=one,
        lined=one,
    )


def _hbm2(readers: Readers, hbm: Hbm2Parameters) -> Sustained:
    clocks = hbm.clock_hz / readers.clock_hz
    pair = 2
    # A page is a row in each of two banks: the later of their activates counts.
    opened = max(hbm.t_rcd, hbm.t_rrd_s + hbm.t_rcd - hbm.t_ccd_s)
    closed = hbm.t_rp + opened
    page_bytes = pair * hbm.row_bytes
    page_beats = page_bytes / readers.port_bytes
    page_clocks = page_bytes // hbm.atom_bytes * hbm.t_ccd_s
    access = np.minimum(np.maximum(readers.burst_beats * readers.port_bytes // hbm.atom_bytes, 1) * hbm.t_ccd_s, page_clocks)
    # After a refresh the first page of every pair of banks finds no open row to close.
    pages = hbm.t_refi / page_clocks
    fresh = hbm.bank_groups * hbm.banks_per_group / pair / pages
    exposed = fresh * np.maximum(0, opened - access) + (1 - fresh) * np.maximum(0, closed - access)
    stall = hbm.t_rp + hbm.t_rfc + opened
    share = 1 - stall / hbm.t_refi
    limited = np.maximum(1, (page_clocks + exposed) / page_beats / clocks / share)
    beat_clocks = np.maximum(readers.port_bytes // hbm.atom_bytes, 1) * hbm.t_ccd_s
    around = hbm.request + hbm.t_cl + beat_clocks + hbm.reply
    loop = 1 + np.ceil(around / clocks) + FIFO_LATENCY
    window = stall / clocks + loop
    side_share = 1 - (hbm.t_rp + hbm.t_rfc) / hbm.t_refi
    page_words = page_bytes // 16
    return Sustained(
        first=1 + np.ceil((around + closed) / clocks) + FIFO_LATENCY,
        period=np.maximum(limited, _credit_period(readers, loop)),
        loop=loop,
        window=window,
        stock=readers.fifo_beats - (readers.burst_beats - 1) / 2,
        between=hbm.t_refi / clocks / readers.ports,
        side_read=np.ceil((hbm.request + opened + hbm.t_cl + hbm.t_ccd_s + hbm.reply) / clocks),
        side_answer=np.ceil((hbm.request + hbm.t_rcd + hbm.t_cwl + hbm.t_ccd_s + hbm.reply) / clocks),
        scattered=hbm.t_rcd / clocks / side_share,
        lined=np.maximum(1, (hbm.t_ccd_l * (page_words - 1) + hbm.t_rcd) / page_words / clocks / side_share),
    )
