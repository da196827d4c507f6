"""HBM2 pseudo channels: when the column commands of an access start, given all accesses before it.

Channels of streams keep pages open. On that of the side port accesses open rows of their own, writes in a line share one, and
reads and writes turn the bus.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.compiled import compiled_part
from hwsim.errors import ConfigError
from hwsim.memory.parameters import TIMES, Hbm2Parameters

__all__ = [
    "Law",
    "burst_arrivals",
    "channel_states",
    "first_refresh",
    "latest_start",
    "law_of",
    "side_beats",
    "side_response",
    "side_state",
    "start_side",
]


class Law(NamedTuple):
    """The numbers of a channel: `cycles` engine cycles last as long as `ticks` memory clocks; sizes; `Hbm2Parameters` by name."""

    cycles: int
    ticks: int
    beat_bytes: int
    atom_bits: int
    row_bits: int
    bank_bits: int
    group_bits: int
    request: int
    reply: int
    t_rcd: int
    t_rp: int
    t_ras: int
    t_rrd_s: int
    t_rrd_l: int
    t_faw: int
    t_rtp: int
    t_wr: int
    t_ccd_s: int
    t_ccd_l: int
    t_cl: int
    t_cwl: int
    t_wtr: int
    t_turn: int
    t_refi: int
    t_rfc: int


_STARTED, _LAST_COLUMN, _LAST_ACTIVATE, _ACTIVATES, _REFRESH, _FLOOR = range(6)
"""State of a channel: start and last column command of the access before; last activate, activates so far; when the next refresh
is due; end of the last one."""
_LAST_GROUP, _ACTIVATE_GROUP, _WINDOW, _ROW, _OPENED, _USED, _STATE = 6, 7, 8, 12, 28, 44, 60
"""Of a stream: bank groups of the last access and activate; the last four activates; for each bank the open row (-1: none), its
activate, its last column command; size of a state."""
_WAS_WRITE, _CLOSED, _OPEN_WORD, _SIDE_WINDOW, _SIDE_STATE = 6, 7, 8, 9, 13
"""Of the side port: direction of the access before; when all rows are closed; the word that was written last, -1 when its row is
closed; the last four activates; size of a state."""
_BANKS = 16
_FAR_PAST = -(1 << 40)
_BEATS_PER_ATOM = 2
_WORD_BITS = 4
"""Of the side port."""


def law_of(parameters: Hbm2Parameters, config: EngineConfig) -> Law:
    """Return the law of the channels behind an engine's ports; raise ConfigError for a clock that is no whole number."""
    if config.clock_hz != round(config.clock_hz):
        raise ConfigError(f"Engine clock_hz must be a whole number under hbm2, not {config.clock_hz!r}")
    clock = round(config.clock_hz)
    common = math.gcd(clock, parameters.clock_hz)
    return Law(
        cycles=clock // common,
        ticks=parameters.clock_hz // common,
        beat_bytes=config.tile.port_bytes,
        atom_bits=parameters.atom_bytes.bit_length() - 1,
        row_bits=parameters.row_bytes.bit_length() - 1,
        bank_bits=parameters.banks_per_group.bit_length() - 1,
        group_bits=parameters.bank_groups.bit_length() - 1,
        **{name: getattr(parameters, name) for name in TIMES},
    )


def first_refresh(t_refi: int, ports: int, port: int, seed: int) -> int:
    """Return the clock in which a port's first refresh is due; ports 0 .. `ports` - 1 are streams, `ports` is the side port."""
    return ((port + 1) * t_refi // (ports + 1) + seed) % t_refi


def channel_states(law: Law, ports: int, seed: int) -> np.ndarray:
    """Return the states of the stream ports' channels at the start of a run, int64 [ports, state]."""
    states = np.zeros((ports, _STATE), dtype=np.int64)
    states[:, _LAST_COLUMN] = states[:, _LAST_ACTIVATE] = _FAR_PAST
    states[:, _LAST_GROUP] = states[:, _ACTIVATE_GROUP] = -1
    states[:, _WINDOW:_ROW] = states[:, _OPENED:] = _FAR_PAST
    states[:, _ROW:_OPENED] = -1
    states[:, _REFRESH] = [first_refresh(law.t_refi, ports, port, seed) for port in range(ports)]
    return states


_inlined = functools.partial(compiled_part, is_inlined=True)


@_inlined
def tick_of(law: Law, cycle: int) -> int:
    """Return the first memory clock that does not lie before an engine cycle."""
    return -(-cycle * law.ticks // law.cycles)


@_inlined
def cycle_of(law: Law, tick: int) -> int:
    """Return the first engine cycle that does not lie before a memory clock."""
    return -(-tick * law.cycles // law.ticks)


@compiled_part
def _refresh(law: Law, state: np.ndarray) -> None:
    """Close all rows and refresh, as soon as it is due and the rows may be closed."""
    closing, is_open = state[_REFRESH], False
    for bank in range(_BANKS):
        if state[_ROW + bank] >= 0:
            is_open = True
            closing = max(closing, state[_OPENED + bank] + law.t_ras, state[_USED + bank] + law.t_rtp)
            state[_ROW + bank] = -1
    if is_open:
        closing += law.t_rp
    state[_FLOOR] = max(closing, state[_FLOOR]) + law.t_rfc
    state[_REFRESH] += law.t_refi


@compiled_part
def latest_start(law: Law, states: np.ndarray, visible: int, atom: int, atoms: int) -> int:
    """Return the clock of the first column command of an access on the channel that comes to it last; all remember it.

    The access reads `atoms` atoms from number `atom` of each channel on, within one page; the controllers know of it from
    `visible` on.
    """
    bank_bits, high_bits = law.bank_bits, law.group_bits - 1
    page = atom >> (law.row_bits - law.atom_bits + 1)
    in_group = page & ((1 << bank_bits) - 1)
    high_group = ((page >> bank_bits) & ((1 << high_bits) - 1)) << 1
    row = page >> (bank_bits + high_bits)
    first_group, last_group = high_group | (atom & 1), high_group | ((atom + atoms - 1) & 1)
    span, turns = (atoms - 1) * law.t_ccd_s, min(atoms, 2)
    latest = _FAR_PAST
    for port in range(states.shape[0]):
        state = states[port]
        floor, before = state[_FLOOR], state[_LAST_COLUMN]
        prepare = max(visible, state[_STARTED], floor)
        start = max(visible, before + law.t_ccd_s, floor)
        while state[_REFRESH] <= start:
            _refresh(law, state)
            prepare, start = max(prepare, state[_FLOOR]), max(start, state[_FLOOR])
        if state[_LAST_GROUP] == first_group:
            start = max(start, before + law.t_ccd_l)
        for turn in range(turns):
            group = first_group ^ turn
            bank = group << bank_bits | in_group
            if state[_ROW + bank] != row:
                activate = prepare
                if state[_ROW + bank] >= 0:
                    activate = max(activate, state[_OPENED + bank] + law.t_ras, state[_USED + bank] + law.t_rtp) + law.t_rp
                apart = law.t_rrd_l if group == state[_ACTIVATE_GROUP] else law.t_rrd_s
                oldest = _WINDOW + (state[_ACTIVATES] & 3)
                activate = max(activate, state[_LAST_ACTIVATE] + apart, state[oldest] + law.t_faw)
                state[_LAST_ACTIVATE], state[_ACTIVATE_GROUP], state[oldest] = activate, group, activate
                state[_ACTIVATES] += 1
                state[_ROW + bank], state[_OPENED + bank] = row, activate
            start = max(start, state[_OPENED + bank] + law.t_rcd - turn * law.t_ccd_s)
        for turn in range(turns):
            state[_USED + ((first_group ^ turn) << bank_bits | in_group)] = start + span
        state[_STARTED], state[_LAST_COLUMN], state[_LAST_GROUP] = start, start + span, last_group
        latest = max(latest, start)
    return latest


@compiled_part
def burst_arrivals(
    law: Law, states: np.ndarray, accept: int, offset: int, arrival: int, first: int, beats: int, delay: int, ready: np.ndarray
) -> int:
    """Fill `ready` with the cycles in which a burst's beats have come from every channel, plus `delay`; return the last.

    The burst was accepted by all ports in cycle `accept` and starts at beat `offset` of each; its beats are number
    `first` and following of the ring `ready`. `arrival` is the cycle of the beat before it. All ports ask for the same,
    and a beat's arrival rises with the start of its access, so the latest start stands for all ports.
    """
    mask = len(ready) - 1
    beat_bytes, atom_bits = law.beat_bytes, law.atom_bits
    page_beats = (2 << law.row_bits) // beat_bytes
    visible = tick_of(law, accept) + law.request
    # Where no beat's atoms take longer than an engine cycle, beats follow the first one cycle by cycle.
    is_steady = law.t_ccd_s * max(1, beat_bytes >> atom_bits) * law.cycles <= law.ticks
    while beats > 0:
        count = min(beats, page_beats - offset % page_beats)
        atom = offset * beat_bytes >> atom_bits
        atoms = ((offset + count) * beat_bytes - 1 >> atom_bits) - atom + 1
        start = latest_start(law, states, visible, atom, atoms)
        data = start + law.t_cl + law.reply
        if is_steady:
            through = ((offset + 1) * beat_bytes - 1 >> atom_bits) - atom + 1
            arrival = max(arrival + 1, cycle_of(law, data + through * law.t_ccd_s))
            at, room = first & mask, min(count, len(ready) - (first & mask))
            for k in range(room):
                ready[at + k] = arrival + delay + k
            for k in range(room, count):
                ready[k - room] = arrival + delay + k
            arrival += count - 1
        else:
            for k in range(count):
                through = ((offset + k + 1) * beat_bytes - 1 >> atom_bits) - atom + 1
                arrival = max(arrival + 1, cycle_of(law, data + through * law.t_ccd_s))
                ready[(first + k) & mask] = arrival + delay
        offset += count
        first += count
        beats -= count
    return arrival


def side_state(law: Law, ports: int, seed: int) -> np.ndarray:
    """Return the state of the side port's channel at the start of a run, int64 [state]; `ports` counts the streams."""
    state = np.zeros(_SIDE_STATE, dtype=np.int64)
    state[_LAST_COLUMN] = state[_LAST_ACTIVATE] = state[_CLOSED] = _FAR_PAST
    state[_SIDE_WINDOW:] = _FAR_PAST
    state[_OPEN_WORD] = -1
    state[_REFRESH] = first_refresh(law.t_refi, ports, ports, seed)
    return state


@compiled_part
def start_side(law: Law, state: np.ndarray, visible: int, atoms: int, is_write: int, word: int) -> int:
    """Return the clock of the first column command of an access known from `visible` on.

    `word` is the 16-byte word of the side memory that is written; -1 for reads and for words elsewhere.
    """
    floor = state[_FLOOR]
    gap = law.t_ccd_s
    page_words = 2 << law.row_bits >> _WORD_BITS
    is_open = word > 0 and word == state[_OPEN_WORD] + 1 and word % page_words != 0
    if is_open:
        gap = law.t_ccd_l
    elif is_write and not state[_WAS_WRITE]:
        gap += law.t_cl + law.t_turn - law.t_cwl
    elif state[_WAS_WRITE] and not is_write:
        gap += law.t_cwl + law.t_wtr
    prepare = max(visible, state[_STARTED], floor)
    start = max(visible, state[_LAST_COLUMN] + gap, floor)
    while state[_REFRESH] <= start:
        state[_FLOOR] = max(state[_REFRESH], state[_CLOSED], state[_FLOOR]) + law.t_rfc
        state[_REFRESH] += law.t_refi
        is_open = False
        prepare, start = max(prepare, state[_FLOOR]), max(start, state[_FLOOR])
    activate = state[_LAST_ACTIVATE]
    for turn in range(0 if is_open else min(atoms, 2)):
        oldest = _SIDE_WINDOW + (state[_ACTIVATES] & 3)
        activate = max(prepare, state[_LAST_ACTIVATE] + law.t_rrd_s, state[oldest] + law.t_faw)
        state[_LAST_ACTIVATE] = state[oldest] = activate
        state[_ACTIVATES] += 1
        start = max(start, activate + law.t_rcd - turn * law.t_ccd_s)
    ending = start + (atoms - 1) * law.t_ccd_s
    closing = ending + law.t_cwl + law.t_ccd_s + law.t_wr if is_write else ending + law.t_rtp
    state[_CLOSED] = max(state[_CLOSED], max(closing, activate + law.t_ras) + law.t_rp)
    state[_STARTED], state[_LAST_COLUMN], state[_WAS_WRITE] = start, ending, is_write
    state[_OPEN_WORD] = word
    return start


@compiled_part
def side_beats(law: Law, state: np.ndarray, accept: int, beat: int, beats: int) -> int:
    """Return the cycle of the last beat of a read burst; `beat` is that of the beat before it."""
    start = start_side(law, state, tick_of(law, accept) + law.request, -(-beats // _BEATS_PER_ATOM), 0, -1)
    data = start + law.t_cl + law.reply
    for k in range(beats):
        beat = max(beat + 1, cycle_of(law, data + (k // _BEATS_PER_ATOM + 1) * law.t_ccd_s))
    return beat


@compiled_part
def side_response(law: Law, state: np.ndarray, written: int, response: int, word: int) -> int:
    """Return the cycle of the response to a write of one beat; `response` is that of the one before, `word` as above."""
    start = start_side(law, state, tick_of(law, written) + law.request, 1, 1, word)
    return max(response + 1, cycle_of(law, start + law.t_cwl + law.t_ccd_s + law.reply))
