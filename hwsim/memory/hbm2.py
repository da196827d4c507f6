"""HBM2 pseudo channels: when the column commands of an access start, given all accesses before it.

Channels of streams keep pages open. On that of the side port accesses open rows of their own, writes in a line share one, and
reads and writes turn the bus.
"""

import collections
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.compiled import compiled_part
from hwsim.errors import ConfigError, shown
from hwsim.memory.parameters import TIMES, Hbm2Parameters

__all__ = [
    "LAW",
    "burst_arrivals",
    "channel_states",
    "fill_ring",
    "first_refresh",
    "latest_start",
    "law_of",
    "side_beats",
    "side_response",
    "side_state",
    "start_side",
]


LAW = ("cycles", "ticks", "beat_bits", "atom_bits", "row_bits", "bank_bits", "group_bits", "opening", "long_span", *TIMES)
"""Numbers of a law: `cycles` engine cycles last as long as `ticks` memory clocks; sizes; clocks of `_opening` and `_long_span`;
`Hbm2Parameters` by name."""
_AT: Any = collections.namedtuple("Law", LAW)(*range(len(LAW)))
"""Places of the numbers in a law, which is an array: a tuple of so many would be copied for every call."""
_BANKS = 16
_MOST_PORTS = 64
"""Places of a row of the states: a number known to the compiler, which so finds that the loops over ports are vector code."""
_LAST_COLUMN, _LAST_ACTIVATE, _ACTIVATE_GROUP, _REFRESH, _FLOOR, _FIRST, _SECOND, _THIRD, _FOURTH = (
    row * _MOST_PORTS for row in range(9)
)
"""Rows of the states, one place a channel: last column command of the access before, but for the clocks of `_LATER`; last
activate and its group; when the next refresh is due; end of the last one; the last four activates, the oldest first."""
_OPENED, _CLOSED, _PREPARE, _START, _ONE, _TWO, _SHARED = (row * _MOST_PORTS for row in (9, 25, 41, 42, 43, 44, 45))
"""For each bank its last activate, and the clock from which its row can be closed and another be activated, once an access to other
banks has followed: later than `_FLOOR` where the row is open. Activates that bind nothing are not written down (see `_long_span`).
During an access: the clock from which rows may be activated, its start, and two rows to work in. Last what channels share."""
_PORTS, _LAST_GROUP, _ONE_BANK, _OTHER_BANK, _SPAN, _LATER, _EARLIEST, _LATEST, _SLACK, _NUMBER, _SHORT, _ROW = range(
    _SHARED, _SHARED + 12
)
"""What channels have in common: their number; of the access before the bank group of the last column command, its two banks
(twice the same where it has one, -1 before there was any) and the clocks from its first to its last column command; the clocks by
which the last column commands are later than `_LAST_COLUMN` says; the earliest and the latest of them; the least clocks from one to
the refresh of its channel; accesses so far, and the last of them that was not long; from there on, for each bank the row activated
last."""
_USED = _ROW + _BANKS
"""From there on, for each bank the last access to it."""
_STATES = _SHARED + _MOST_PORTS
(
    _SIDE_STARTED,
    _SIDE_LAST_COLUMN,
    _SIDE_LAST_ACTIVATE,
    _SIDE_ACTIVATES,
    _SIDE_REFRESH,
    _SIDE_FLOOR,
    _SIDE_WAS_WRITE,
    _SIDE_CLOSED,
    _SIDE_OPEN_WORD,
    _SIDE_WINDOW,
) = range(10)
_SIDE_STATE = _SIDE_WINDOW + 4
"""State of the side port: start and last column command of the access before; last activate, activates so far; when the next
refresh is due; end of the last one; direction of the access before; when all rows are closed; the word that was written last, -1
when its row is closed; the last four activates; its size."""
_FAR_PAST, _FAR_FUTURE = -(1 << 40), 1 << 62
_BEATS_PER_ATOM = 2
_FRACTION_BITS = 48
"""Of a fraction of an engine cycle. Cycles have less than 2**30 ticks, and pages less than 2**8 beats, each of which is rounded."""
_WORD_BITS = 4
"""Of the side port."""


def law_of(parameters: Hbm2Parameters, config: EngineConfig) -> np.ndarray:
    """Return the law of the channels behind an engine's ports, int64 in the order of `LAW`.

    Raises ConfigError for a clock that is no whole number.
    """
    if config.clock_hz != round(config.clock_hz):
        raise ConfigError(f"Engine clock_hz must be a whole number under hbm2, not {shown(config.clock_hz)}")
    clock = round(config.clock_hz)
    common = math.gcd(clock, parameters.clock_hz)
    sizes = {
        "cycles": clock // common,
        "ticks": parameters.clock_hz // common,
        "beat_bits": config.tile.port_bytes.bit_length() - 1,
        "atom_bits": parameters.atom_bytes.bit_length() - 1,
        "row_bits": parameters.row_bytes.bit_length() - 1,
        "bank_bits": parameters.banks_per_group.bit_length() - 1,
        "group_bits": parameters.bank_groups.bit_length() - 1,
        "opening": _opening(parameters),
        "long_span": _long_span(parameters),
    }
    return np.array([sizes[name] if name in sizes else getattr(parameters, name) for name in LAW], dtype=np.int64)


def _opening(times: Hbm2Parameters) -> int:
    """Return the clocks in which two banks close their rows and open others, up to the first column command that both allow."""
    return times.t_rp + times.t_rcd + max(0, times.t_rrd_s - times.t_ccd_s)


def _long_span(times: Hbm2Parameters) -> int:
    """Return the clocks from first to last column command from which on an access is long.

    Every activate lies tRCD before the first column command of its access, or tCCD later for a second bank. So when an access
    follows a long one, activates and rows from before the long one's first column command bind it no more (tRRD, tFAW, tRAS, tRTP),
    and two banks have opened other rows while the long one was read. Where activates lie too far apart for that, none is long.
    """
    if max(times.t_rrd_s, times.t_rrd_l) + times.t_ccd_s > times.t_rcd:
        return _FAR_FUTURE
    return max(_opening(times) - times.t_ccd_s, times.t_faw - times.t_rcd, times.t_ras - times.t_rcd + times.t_ccd_s, times.t_rtp)


def first_refresh(t_refi: int, ports: int, port: int, seed: int) -> int:
    """Return the clock in which a port's first refresh is due; ports 0 .. `ports` - 1 are streams, `ports` is the side port."""
    return ((port + 1) * t_refi // (ports + 1) + seed) % t_refi


def channel_states(refreshes: Sequence[int]) -> np.ndarray:
    """Return the states of channels at the start of a run, int64, given the clock in which each one's first refresh is due."""
    states = np.full(_STATES, _FAR_PAST, dtype=np.int64)
    states[_FLOOR : _FLOOR + _MOST_PORTS] = 0
    states[_REFRESH : _REFRESH + len(refreshes)] = refreshes
    states[_PORTS] = len(refreshes)
    states[[_SPAN, _LATER, _NUMBER, _SHORT]] = states[_USED : _USED + _BANKS] = 0
    states[[_LAST_GROUP, _ONE_BANK, _OTHER_BANK]] = -1
    states[_ROW : _ROW + _BANKS] = -1
    return states


_inlined = functools.partial(compiled_part, is_inlined=True)


@_inlined
def tick_of(law: np.ndarray, cycle: int) -> int:
    """Return the first memory clock that does not lie before an engine cycle."""
    return -(-cycle * law[_AT.ticks] // law[_AT.cycles])


@_inlined
def cycle_of(law: np.ndarray, tick: int) -> int:
    """Return the first engine cycle that does not lie before a memory clock."""
    return -(-tick * law[_AT.cycles] // law[_AT.ticks])


@compiled_part
def _refresh(law: np.ndarray, states: np.ndarray, port: int) -> None:
    """Close all rows and refresh until no refresh is due before the access may start."""
    while states[_REFRESH + port] <= states[_START + port]:
        closing, floor = states[_REFRESH + port], states[_FLOOR + port]
        if states[_LAST_COLUMN + port] >= floor:
            # Rows are open: activated at the latest, and used at the latest, by the access before.
            opened, used = states[_LAST_ACTIVATE + port] + law[_AT.t_ras], states[_LAST_COLUMN + port] + law[_AT.t_rtp]
            closing = max(closing, opened, used) + law[_AT.t_rp]
        floor = max(closing, floor) + law[_AT.t_rfc]
        states[_FLOOR + port] = floor
        states[_REFRESH + port] += law[_AT.t_refi]
        states[_PREPARE + port] = max(states[_PREPARE + port], floor)
        states[_START + port] = max(states[_START + port], floor)


@_inlined
def _copy(states: np.ndarray, source: int, target: int) -> None:
    """Copy a row of the states; its first places are unsigned, so that no index needs a look at its sign."""
    first, to = np.uintp(source), np.uintp(target)
    for port in range(states[_PORTS]):
        states[to + np.uintp(port)] = states[first + np.uintp(port)]


@compiled_part
def latest_start(law: np.ndarray, states: np.ndarray, visible: int, atom: int, atoms: int) -> int:
    """Return the clock of the first column command of an access on the channel that comes to it last; all remember it.

    The access reads `atoms` atoms from number `atom` of each channel on, within one page; the controllers know of it from
    `visible` on. Channels differ in their refreshes alone, so that what the access asks of a bank is asked of all.
    """
    ports, ccd_s = states[_PORTS], law[_AT.t_ccd_s]
    bank_bits, high_bits = law[_AT.bank_bits], law[_AT.group_bits] - 1
    page = atom >> (law[_AT.row_bits] - law[_AT.atom_bits] + 1)
    in_group = page & ((1 << bank_bits) - 1)
    high_group = ((page >> bank_bits) & ((1 << high_bits) - 1)) << 1
    row = page >> (bank_bits + high_bits)
    first_group, last_group = high_group | (atom & 1), high_group | ((atom + atoms - 1) & 1)
    first = first_group << bank_bits | in_group
    # Atoms of a page lie in two groups by turns; a single one has only the first.
    second = (first_group ^ 1) << bank_bits | in_group if atoms > 1 else first
    gap = max(ccd_s, law[_AT.t_ccd_l]) if states[_LAST_GROUP] == first_group else ccd_s
    span = (atoms - 1) * ccd_s
    one, other = states[_ONE_BANK], states[_OTHER_BANK]
    number = states[_NUMBER] + 1
    is_same = states[_ROW + first] == row and states[_ROW + second] == row
    is_other = second != first and states[_ROW + first] != row and states[_ROW + second] != row
    is_again = is_same and ((one == first and other == second) or (one == second and other == first))
    is_long = span >= law[_AT.long_span]
    # Two long accesses lie between what these banks did and this one, which is long too: its activates wait for its turn alone.
    is_apart = is_other and is_long and number - max(states[_SHORT], states[_USED + first], states[_USED + second]) > 2
    latest_visible = states[_EARLIEST] + gap - (law[_AT.opening] if is_apart else 0)
    if is_apart:
        _close_early(law, states)
    if (is_again or is_apart) and visible <= latest_visible:
        # Every channel still has the access before to finish, and finds the rows open or opens them meanwhile.
        latest = _go_on(law, states, visible, gap, span, first, second, row, is_again)
    else:
        _catch_up(states)
        if not is_again and not is_apart:
            _leave(law, states)
        if is_same:
            _start_same(law, states, visible, gap, first, second, is_again)
        elif is_apart:
            _start_apart(law, states, visible, gap, first, second, row)
        elif is_other:
            _start_other(law, states, visible, gap, first, second)
        else:
            for port in range(ports):
                _start_alone(law, states, visible, gap, first, second, row, port, False)
        for port in range(ports):
            states[_LAST_COLUMN + port] = states[_START + port] + span
        latest = _look_ahead(states) - span
    states[_ONE_BANK], states[_OTHER_BANK] = first, second
    states[_ROW + first] = states[_ROW + second] = row
    states[_USED + first] = states[_USED + second] = states[_NUMBER] = number
    states[_SPAN], states[_LAST_GROUP] = span, last_group
    if not is_long:
        states[_SHORT] = number
    return latest


@compiled_part
def _look_ahead(states: np.ndarray) -> int:
    """Remember the earliest and the latest of the last column commands, and the clocks to the next refresh; return the latest."""
    later = states[_LATER]
    latest, earliest, slack = _FAR_PAST, _FAR_FUTURE, _FAR_FUTURE
    for port in range(states[_PORTS]):
        last = states[_LAST_COLUMN + port]
        latest, earliest = max(latest, last), min(earliest, last)
        slack = min(slack, states[_REFRESH + port] - last)
    states[_LATEST], states[_EARLIEST], states[_SLACK] = latest + later, earliest + later, slack - later
    return latest + later


@compiled_part
def _go_on(
    law: np.ndarray, states: np.ndarray, visible: int, gap: int, span: int, first: int, second: int, row: int, is_again: bool
) -> int:
    """Take an access that comes right behind the one before, but for channels that may have to refresh; return the latest start."""
    later, step = states[_LATER], gap + span
    if gap < states[_SLACK]:
        states[_LATER] += step
        states[_EARLIEST] += step
        states[_LATEST] += step
        states[_SLACK] -= step
        return states[_LATEST] - span
    for port in range(states[_PORTS]):
        if states[_REFRESH + port] - states[_LAST_COLUMN + port] <= later + gap:
            states[_LAST_COLUMN + port] += later
            _start_alone(law, states, visible, gap, first, second, row, port, is_again)
            states[_LAST_COLUMN + port] = states[_START + port] - later - gap
    states[_LATER] += step
    return _look_ahead(states) - span


@compiled_part
def _catch_up(states: np.ndarray) -> None:
    """Write down the last column commands of accesses that every channel took right behind the one before."""
    later = states[_LATER]
    if later:
        for port in range(states[_PORTS]):
            states[_LAST_COLUMN + port] += later
        states[_LATER] = 0


@compiled_part
def _leave(law: np.ndarray, states: np.ndarray) -> None:
    """Remember from when on the rows of the access before can be closed, in front of one to other rows or banks."""
    one, other = states[_ONE_BANK], states[_OTHER_BANK]
    if one >= 0:
        _closable(law, states, one)
        if other != one:
            _closable(law, states, other)


@compiled_part
def _close_early(law: np.ndarray, states: np.ndarray) -> None:
    """Do so where the access before was long, so that its rows have been open for long enough when it ends."""
    one, other = np.uintp(_CLOSED + states[_ONE_BANK] * _MOST_PORTS), np.uintp(_CLOSED + states[_OTHER_BANK] * _MOST_PORTS)
    closed = states[_LATER] + law[_AT.t_rtp] + law[_AT.t_rp]
    for port in range(states[_PORTS]):
        states[one + np.uintp(port)] = states[other + np.uintp(port)] = states[_LAST_COLUMN + port] + closed


@_inlined
def _closable(law: np.ndarray, states: np.ndarray, bank: int) -> None:
    ras, rtp, rp = law[_AT.t_ras], law[_AT.t_rtp], law[_AT.t_rp]
    opened, closed = np.uintp(_OPENED + bank * _MOST_PORTS), np.uintp(_CLOSED + bank * _MOST_PORTS)
    for port in range(states[_PORTS]):
        place = np.uintp(port)
        states[closed + place] = max(states[opened + place] + ras, states[_LAST_COLUMN + port] + rtp) + rp


@compiled_part
def _start_same(law: np.ndarray, states: np.ndarray, visible: int, gap: int, first: int, second: int, is_again: bool) -> None:
    """Set the starts of an access to the rows that two banks activated last; `gap` lies between the last column command and it.

    Most channels have them open. Those that refresh now, or have refreshed since, are few, and are seen to one by one.
    is_again: whether the access before was to these banks, which are open then.
    """
    ccd_s = law[_AT.t_ccd_s]
    closed = np.uintp(_LAST_COLUMN if is_again else _CLOSED + first * _MOST_PORTS)
    next_closed = np.uintp(_LAST_COLUMN if is_again else _CLOSED + second * _MOST_PORTS)
    others = 0
    for port in range(states[_PORTS]):
        one, two, floor = states[closed + np.uintp(port)], states[next_closed + np.uintp(port)], states[_FLOOR + port]
        last = states[_LAST_COLUMN + port]
        allowed = max(max(visible, floor), last + ccd_s)
        is_other = (states[_REFRESH + port] <= allowed) | (one < floor) | (two < floor)
        states[_PREPARE + port] = -1 if is_other else 0
        # The access that activated a row waited for it, and gave its last column command before this one begins.
        states[_START + port] = max(allowed, last + gap)
        others += 1 if is_other else 0
    if others:
        for port in range(states[_PORTS]):
            if states[_PREPARE + port]:
                _start_alone(law, states, visible, gap, first, second, states[_ROW + first], port, is_again)


@compiled_part
def _start_alone(
    law: np.ndarray, states: np.ndarray, visible: int, gap: int, first: int, second: int, row: int, port: int, is_again: bool
) -> None:
    """Set the start on one channel of an access to a row of two banks, or of one that is given twice."""
    ccd_s = law[_AT.t_ccd_s]
    floor = max(visible, states[_FLOOR + port])
    states[_PREPARE + port] = max(floor, states[_LAST_COLUMN + port] - states[_SPAN])
    states[_START + port] = max(floor, states[_LAST_COLUMN + port] + ccd_s)
    _refresh(law, states, port)
    start = max(states[_START + port], states[_LAST_COLUMN + port] + gap)
    for turn in range(2 if second != first else 1):
        bank = second if turn else first
        closed, group = states[_CLOSED + bank * _MOST_PORTS + port], bank >> law[_AT.bank_bits]
        is_open = (states[_LAST_COLUMN + port] if is_again else closed) >= states[_FLOOR + port]
        if states[_ROW + bank] != row or not is_open:
            apart = law[_AT.t_rrd_l] if group == states[_ACTIVATE_GROUP + port] else law[_AT.t_rrd_s]
            activate = max(states[_LAST_ACTIVATE + port] + apart, states[_FIRST + port] + law[_AT.t_faw])
            activate = max(activate, states[_PREPARE + port])
            if is_open:
                activate = max(activate, max(states[_PREPARE + port] + law[_AT.t_rp], closed))
            states[_OPENED + bank * _MOST_PORTS + port] = states[_LAST_ACTIVATE + port] = activate
            states[_ACTIVATE_GROUP + port] = group
            states[_FIRST + port], states[_SECOND + port] = states[_SECOND + port], states[_THIRD + port]
            states[_THIRD + port], states[_FOURTH + port] = states[_FOURTH + port], activate
            start = max(start, activate + law[_AT.t_rcd] - turn * ccd_s)
    states[_START + port] = start


@compiled_part
def _start_apart(law: np.ndarray, states: np.ndarray, visible: int, gap: int, first: int, second: int, row: int) -> None:
    """Set the starts of an access to rows of two banks that both have others, where nothing before binds its activates."""
    rcd, rp, rrd_s, ccd_s, span_before = law[_AT.t_rcd], law[_AT.t_rp], law[_AT.t_rrd_s], law[_AT.t_ccd_s], states[_SPAN]
    closed, next_closed = np.uintp(_CLOSED + first * _MOST_PORTS), np.uintp(_CLOSED + second * _MOST_PORTS)
    slack = _FAR_FUTURE
    for port in range(states[_PORTS]):
        floor, last = states[_FLOOR + port], states[_LAST_COLUMN + port]
        prepare = max(visible, last - span_before)
        one = prepare + (rp if states[closed + np.uintp(port)] > floor else 0)
        two = max(prepare + (rp if states[next_closed + np.uintp(port)] > floor else 0), one + rrd_s)
        states[_START + port] = max(max(visible, last + gap), max(one + rcd, two + rcd - ccd_s))
        slack = min(slack, states[_REFRESH + port] - max(visible, last + ccd_s))
    if slack <= 0:
        for port in range(states[_PORTS]):
            if states[_REFRESH + port] <= max(visible, states[_LAST_COLUMN + port] + ccd_s):
                _start_alone(law, states, visible, gap, first, second, row, port, False)


@compiled_part
def _start_other(law: np.ndarray, states: np.ndarray, visible: int, gap: int, first: int, second: int) -> None:
    """Set the starts of an access to rows of two banks that both have others; `gap` as above.

    A bank's row is open where it can be closed after the last refresh has ended: a refresh closes all rows before it begins.
    """
    ports, rcd, rp, faw, ccd_s = states[_PORTS], law[_AT.t_rcd], law[_AT.t_rp], law[_AT.t_faw], law[_AT.t_ccd_s]
    rrd_s, rrd_l = law[_AT.t_rrd_s], law[_AT.t_rrd_l]
    span_before, slack = states[_SPAN], _FAR_FUTURE
    for port in range(ports):
        floor, last = max(visible, states[_FLOOR + port]), states[_LAST_COLUMN + port]
        start = max(floor, last + ccd_s)
        states[_PREPARE + port] = max(floor, last - span_before)
        states[_START + port] = start
        slack = min(slack, states[_REFRESH + port] - start)
    if slack <= 0:
        for port in range(ports):
            if states[_REFRESH + port] <= states[_START + port]:
                _refresh(law, states, port)
    _copy(states, _CLOSED + first * _MOST_PORTS, _ONE)
    _copy(states, _CLOSED + second * _MOST_PORTS, _TWO)
    group, next_group = first >> law[_AT.bank_bits], second >> law[_AT.bank_bits]
    for port in range(ports):
        prepare, floor, one, two = states[_PREPARE + port], states[_FLOOR + port], states[_ONE + port], states[_TWO + port]
        apart = rrd_l if group == states[_ACTIVATE_GROUP + port] else rrd_s
        third, fourth = states[_THIRD + port], states[_FOURTH + port]
        one = max(prepare + rp, one) if one > floor else prepare
        one = max(one, max(states[_LAST_ACTIVATE + port] + apart, states[_FIRST + port] + faw))
        two = max(prepare + rp, two) if two > floor else prepare
        two = max(two, max(one + rrd_s, states[_SECOND + port] + faw))
        start = max(states[_START + port], states[_LAST_COLUMN + port] + gap)
        states[_START + port] = max(start, max(one + rcd, two + rcd - ccd_s))
        states[_FIRST + port], states[_SECOND + port] = third, fourth
        states[_THIRD + port] = states[_ONE + port] = one
        states[_FOURTH + port] = states[_TWO + port] = states[_LAST_ACTIVATE + port] = two
        states[_ACTIVATE_GROUP + port] = next_group
    _copy(states, _ONE, _OPENED + first * _MOST_PORTS)
    _copy(states, _TWO, _OPENED + second * _MOST_PORTS)


@compiled_part
def fill_ring(ring: np.ndarray, first: int, count: int, cycle: int) -> None:
    """Write that beats `first` and following of a ring come in cycles `cycle` and following."""
    at = first & (len(ring) - 1)
    room = min(count, len(ring) - at)
    # Unsigned, so that no index needs a look at its sign, and the loop is vector code.
    place = np.uintp(at)
    for k in range(room):
        ring[place + np.uintp(k)] = cycle + k
    for k in range(room, count):
        ring[k - room] = cycle + k


@compiled_part
def _fill_late(law: np.ndarray, ring: np.ndarray, first: int, count: int, arrival: int, data: int, delay: int) -> int:
    """Do so with beats of at least an atom that take longer than an engine cycle, plus `delay`; return when the last one comes.

    Data begin in clock `data`, and the beat before came in cycle `arrival`. Times count from the cycle of the first beat, in
    fractions of a cycle, rounded up: all of them together are less than one of a cycle's `ticks` too late, which changes no cycle.
    """
    clocks, cycles, ticks = law[_AT.t_ccd_s] << law[_AT.beat_bits] - law[_AT.atom_bits], law[_AT.cycles], law[_AT.ticks]
    whole, rest = divmod((data + clocks) * cycles + ticks - 1, ticks)
    each, part = divmod(clocks * cycles, ticks)
    step = np.uint64((each << _FRACTION_BITS) + np.int64(part / ticks * (1 << _FRACTION_BITS)) + 1)
    passed, bits = np.uint64(rest / ticks * (1 << _FRACTION_BITS)) + np.uint64(1), np.uint64(_FRACTION_BITS)
    at = first & (len(ring) - 1)
    room = min(count, len(ring) - at)
    place = np.uintp(at)
    for k in range(room):
        ring[place + np.uintp(k)] = max(arrival + 1 + k, whole + np.int64(passed >> bits)) + delay
        passed += step
    for k in range(room, count):
        ring[k - room] = max(arrival + 1 + k, whole + np.int64(passed >> bits)) + delay
        passed += step
    return max(arrival + count, whole + np.int64(passed - step >> bits))


@compiled_part
def burst_arrivals(
    law: np.ndarray,
    states: np.ndarray,
    accept: int,
    offset: int,
    arrival: int,
    first: int,
    beats: int,
    delay: int,
    ready: np.ndarray,
) -> int:
    """Fill `ready` with the cycles in which a burst's beats have come from every channel, plus `delay`; return the last.

    The burst was accepted by all ports in cycle `accept` and starts at beat `offset` of each; its beats are number
    `first` and following of the ring `ready`. `arrival` is the cycle of the beat before it. All ports ask for the same,
    and a beat's arrival rises with the start of its access, so the latest start stands for all ports.
    """
    mask = len(ready) - 1
    beat_bits, atom_bits, page_bits = law[_AT.beat_bits], law[_AT.atom_bits], law[_AT.row_bits] + 1
    visible = tick_of(law, accept) + law[_AT.request]
    # Where no beat's atoms take longer than an engine cycle, beats follow the first one cycle by cycle.
    is_steady = law[_AT.t_ccd_s] * law[_AT.cycles] << max(0, beat_bits - atom_bits) <= law[_AT.ticks]
    while beats > 0:
        begin = offset << beat_bits
        count = min(beats, (begin | (1 << page_bits) - 1) + 1 - begin >> beat_bits)
        atom = begin >> atom_bits
        atoms = (begin + (count << beat_bits) - 1 >> atom_bits) - atom + 1
        start = latest_start(law, states, visible, atom, atoms)
        data = start + law[_AT.t_cl] + law[_AT.reply]
        if is_steady:
            through = (begin + (1 << beat_bits) - 1 >> atom_bits) - atom + 1
            arrival = max(arrival + 1, cycle_of(law, data + through * law[_AT.t_ccd_s]))
            fill_ring(ready, first, count, arrival + delay)
            arrival += count - 1
        elif beat_bits >= atom_bits:
            arrival = _fill_late(law, ready, first, count, arrival, data, delay)
        else:
            for k in range(count):
                through = (begin + (k + 1 << beat_bits) - 1 >> atom_bits) - atom + 1
                arrival = max(arrival + 1, cycle_of(law, data + through * law[_AT.t_ccd_s]))
                ready[(first + k) & mask] = arrival + delay
        offset += count
        first += count
        beats -= count
    return arrival


def side_state(law: np.ndarray, ports: int, seed: int) -> np.ndarray:
    """Return the state of the side port's channel at the start of a run, int64 [state]; `ports` counts the streams."""
    state = np.zeros(_SIDE_STATE, dtype=np.int64)
    state[_SIDE_LAST_COLUMN] = state[_SIDE_LAST_ACTIVATE] = state[_SIDE_CLOSED] = _FAR_PAST
    state[_SIDE_WINDOW:] = _FAR_PAST
    state[_SIDE_OPEN_WORD] = -1
    state[_SIDE_REFRESH] = first_refresh(law[_AT.t_refi], ports, ports, seed)
    return state


@compiled_part
def start_side(law: np.ndarray, state: np.ndarray, visible: int, atoms: int, is_write: int, word: int) -> int:
    """Return the clock of the first column command of an access known from `visible` on.

    `word` is the 16-byte word of the side memory that is written; -1 for reads and for words elsewhere.
    """
    floor = state[_SIDE_FLOOR]
    gap = law[_AT.t_ccd_s]
    page_words = 2 << law[_AT.row_bits] >> _WORD_BITS
    is_open = word > 0 and word == state[_SIDE_OPEN_WORD] + 1 and word % page_words != 0
    if is_open:
        gap = law[_AT.t_ccd_l]
    elif is_write and not state[_SIDE_WAS_WRITE]:
        gap += law[_AT.t_cl] + law[_AT.t_turn] - law[_AT.t_cwl]
    elif state[_SIDE_WAS_WRITE] and not is_write:
        gap += law[_AT.t_cwl] + law[_AT.t_wtr]
    prepare = max(visible, state[_SIDE_STARTED], floor)
    start = max(visible, state[_SIDE_LAST_COLUMN] + gap, floor)
    while state[_SIDE_REFRESH] <= start:
        state[_SIDE_FLOOR] = max(state[_SIDE_REFRESH], state[_SIDE_CLOSED], state[_SIDE_FLOOR]) + law[_AT.t_rfc]
        state[_SIDE_REFRESH] += law[_AT.t_refi]
        is_open = False
        prepare, start = max(prepare, state[_SIDE_FLOOR]), max(start, state[_SIDE_FLOOR])
    activate = state[_SIDE_LAST_ACTIVATE]
    for turn in range(0 if is_open else min(atoms, 2)):
        oldest = _SIDE_WINDOW + (state[_SIDE_ACTIVATES] & 3)
        activate = max(prepare, state[_SIDE_LAST_ACTIVATE] + law[_AT.t_rrd_s], state[oldest] + law[_AT.t_faw])
        state[_SIDE_LAST_ACTIVATE] = state[oldest] = activate
        state[_SIDE_ACTIVATES] += 1
        start = max(start, activate + law[_AT.t_rcd] - turn * law[_AT.t_ccd_s])
    ending = start + (atoms - 1) * law[_AT.t_ccd_s]
    closing = ending + law[_AT.t_cwl] + law[_AT.t_ccd_s] + law[_AT.t_wr] if is_write else ending + law[_AT.t_rtp]
    state[_SIDE_CLOSED] = max(state[_SIDE_CLOSED], max(closing, activate + law[_AT.t_ras]) + law[_AT.t_rp])
    state[_SIDE_STARTED], state[_SIDE_LAST_COLUMN], state[_SIDE_WAS_WRITE] = start, ending, is_write
    state[_SIDE_OPEN_WORD] = word
    return start


@compiled_part
def side_beats(law: np.ndarray, state: np.ndarray, accept: int, beat: int, beats: int) -> int:
    """Return the cycle of the last beat of a read burst; `beat` is that of the beat before it."""
    start = start_side(law, state, tick_of(law, accept) + law[_AT.request], -(-beats // _BEATS_PER_ATOM), 0, -1)
    data = start + law[_AT.t_cl] + law[_AT.reply]
    for k in range(beats):
        beat = max(beat + 1, cycle_of(law, data + (k // _BEATS_PER_ATOM + 1) * law[_AT.t_ccd_s]))
    return beat


@compiled_part
def side_response(law: np.ndarray, state: np.ndarray, written: int, response: int, word: int) -> int:
    """Return the cycle of the response to a write of one beat; `response` is that of the one before, `word` as above."""
    start = start_side(law, state, tick_of(law, written) + law[_AT.request], 1, 1, word)
    return max(response + 1, cycle_of(law, start + law[_AT.t_cwl] + law[_AT.t_ccd_s] + law[_AT.reply]))
