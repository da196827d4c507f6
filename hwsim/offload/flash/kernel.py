"""The compiled rules of `events`: what every event of a flash simulation does to queues, registers, arrays and buses."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.compiled import compiled

__all__ = ["ARRAY_BUSY", "BUS_BUSY", "DONE", "Integers", "State", "events_of", "new_state", "run"]

Integers = npt.NDArray[np.int64]

_IDLE, _COMMAND, _SENSING, _SENSED, _PROGRAMMING = range(5)
"""What a die's array and page register do; sensed: full, waiting for the cache register."""
_FREE, _LEAVING, _COMING, _FULL = range(4)
"""What a die's cache register does; without one, the page register while the bus fills or empties it."""
_BEGIN, _BUS, _ARRAY = range(3)
"""Kinds of event: a page set begins, a bus is done, an array is done."""
_NONE = -1

# Columns of the state. Queues are linked lists: through pages, or through dies for commands.
_DIE_OF, _PLANE_OF, _IS_PROGRAM, _TRANSFER, _SET_OF, _QUEUE_NEXT, _DATA_NEXT, _DONE = range(8)
_SET_FIRST, _SET_LEFT, _SET_SIZE, _SET_EARLIEST, _SET_FOLLOWER, _SET_SIBLING = range(6)
_CHANNEL_OF, _QUEUE_HEAD, _QUEUE_TAIL, _ARRAY_STATE, _ARRAY_FIRST, _ARRAY_COUNT, _ARRAY_BUSY = range(7)
_CACHE_STATE, _CACHE_FIRST, _CACHE_COUNT, _CACHE_LEFT, _COMMAND_NEXT = range(7, 12)
_COMMAND_HEAD, _COMMAND_TAIL, _DATA_HEAD, _DATA_TAIL, _BUS_PAGE, _BUS_DIE, _BUS_BUSY = range(7)
_SENSE, _PROGRAM, _COMMAND_TIME, _PLANES, _HAS_CACHE = range(5)
DONE, ARRAY_BUSY, BUS_BUSY = _DONE, _ARRAY_BUSY, _BUS_BUSY


class State(NamedTuple):
    """Everything a run changes, int64 in picoseconds, page, die, channel and set numbers."""

    pages: Integers
    """[pages, columns]."""
    sets: Integers
    """[sets, columns]."""
    dies: Integers
    """[dies, columns]."""
    buses: Integers
    """[channels, columns]."""
    heap: Integers
    """Time, age, kind and subject of each event from row 1 on, [events + 1, 4]; row 0: how many, and how many there ever were."""
    times: Integers
    """Sense, program and command time, planes, whether there is a cache register."""


def new_state(
    pages: tuple[Integers, ...], set_of: Integers, earliest: Integers, channels: int, dies_per_channel: int, times: list[int]
) -> State:
    """Return the state before anything has happened.

    pages: die, plane, whether it is a program, and transfer time of each page; set_of: its set, ascending; earliest: of each set;
    times: as in `State`.
    """
    sets, dies = len(earliest), channels * dies_per_channel
    counts = np.bincount(set_of, minlength=sets)
    state = State(
        pages=np.full((len(set_of), 8), _NONE, np.int64),
        sets=np.full((sets, 6), _NONE, np.int64),
        dies=np.full((dies, 12), _NONE, np.int64),
        buses=np.full((channels, 7), _NONE, np.int64),
        heap=np.zeros((sets + dies + channels + 1, 4), np.int64),
        times=np.array(times, np.int64),
    )
    for column, values in zip((_DIE_OF, _PLANE_OF, _IS_PROGRAM, _TRANSFER), pages, strict=True):
        state.pages[:, column] = values
    state.pages[:, _SET_OF] = set_of
    state.pages[:, _DONE] = 0
    state.sets[:, _SET_FIRST] = np.cumsum(counts) - counts
    state.sets[:, _SET_LEFT] = state.sets[:, _SET_SIZE] = counts
    state.sets[:, _SET_EARLIEST] = earliest
    state.dies[:, _CHANNEL_OF] = np.arange(dies) // dies_per_channel
    state.dies[:, _ARRAY_STATE], state.dies[:, _CACHE_STATE] = _IDLE, _FREE
    state.dies[:, _ARRAY_BUSY] = 0
    state.buses[:, _BUS_BUSY] = 0
    return state


def events_of(state: State) -> int:
    """Return how many events a run had."""
    return int(state.heap[0, 1])


@compiled
def _put(state: State, time: int, kind: int, what: int) -> None:
    heap = state.heap
    heap[0, 0] += 1
    heap[0, 1] += 1
    place = heap[0, 0]
    while place > 1:
        above = place >> 1
        # An older event of the same time stays above.
        if heap[above, 0] <= time:
            break
        heap[place, 0], heap[place, 1] = heap[above, 0], heap[above, 1]
        heap[place, 2], heap[place, 3] = heap[above, 2], heap[above, 3]
        place = above
    heap[place, 0], heap[place, 1], heap[place, 2], heap[place, 3] = time, heap[0, 1], kind, what


@compiled
def _take(state: State) -> tuple[int, int, int]:
    """Take the earliest event off the heap, the oldest of those at one time: (time, kind, what)."""
    heap = state.heap
    time, kind, what = heap[1, 0], heap[1, 2], heap[1, 3]
    last = heap[0, 0]
    heap[0, 0] = last - 1
    moved_time, moved_age, moved_kind, moved_what = heap[last, 0], heap[last, 1], heap[last, 2], heap[last, 3]
    place = 1
    while True:
        below = 2 * place
        if below >= last:
            break
        right = below + 1
        if right < last and (
            heap[right, 0] < heap[below, 0] or (heap[right, 0] == heap[below, 0] and heap[right, 1] < heap[below, 1])
        ):
            below = right
        if moved_time < heap[below, 0] or (moved_time == heap[below, 0] and moved_age < heap[below, 1]):
            break
        heap[place, 0], heap[place, 1] = heap[below, 0], heap[below, 1]
        heap[place, 2], heap[place, 3] = heap[below, 2], heap[below, 3]
        place = below
    heap[place, 0], heap[place, 1], heap[place, 2], heap[place, 3] = moved_time, moved_age, moved_kind, moved_what
    return time, kind, what


@compiled
def _complete(state: State, page: int, time: int) -> None:
    """Note that a page is done; sets that wait for its set may now begin."""
    state.pages[page, _DONE] = time
    number = state.pages[page, _SET_OF]
    state.sets[number, _SET_LEFT] -= 1
    if state.sets[number, _SET_LEFT] == 0:
        _follow(state, number, time)


@compiled
def _follow(state: State, number: int, time: int) -> None:
    """Let the sets begin that wait for a set which is complete."""
    follower = state.sets[number, _SET_FOLLOWER]
    while follower != _NONE:
        _put(state, max(time, state.sets[follower, _SET_EARLIEST]), _BEGIN, follower)
        follower = state.sets[follower, _SET_SIBLING]


@compiled
def _append(owner: Integers, head: int, tail: int, links: Integers, following: int, item: int) -> None:
    """Put an item at the end of the queue whose first and last are columns of a row, and whose links are a column of all."""
    links[item, following] = _NONE
    if owner[head] == _NONE:
        owner[head] = item
    else:
        links[owner[tail], following] = item
    owner[tail] = item


@compiled
def _want_bus(state: State, first: int, count: int) -> None:
    """Queue the data of pages that follow one another in a die's queue."""
    page = first
    for _ in range(count):
        channel = state.dies[state.pages[page, _DIE_OF], _CHANNEL_OF]
        _append(state.buses[channel], _DATA_HEAD, _DATA_TAIL, state.pages, _DATA_NEXT, page)
        page = state.pages[page, _QUEUE_NEXT]


@compiled
def _take_group(state: State, die: int) -> tuple[int, int]:
    """Take off a die's queue the pages at its head that are of one kind and in different planes: the first, and how many."""
    first = state.dies[die, _QUEUE_HEAD]
    planes, count, page = 0, 0, first
    while page != _NONE and count < state.times[_PLANES]:
        plane = 1 << state.pages[page, _PLANE_OF]
        if planes & plane or state.pages[page, _IS_PROGRAM] != state.pages[first, _IS_PROGRAM]:
            break
        planes |= plane
        count += 1
        page = state.pages[page, _QUEUE_NEXT]
    state.dies[die, _QUEUE_HEAD] = page
    return first, count


@compiled
def _sense(state: State, die: int, time: int) -> None:
    state.dies[die, _ARRAY_STATE] = _SENSING
    state.dies[die, _ARRAY_BUSY] += state.times[_SENSE]
    _put(state, time + state.times[_SENSE], _ARRAY, die)


@compiled
def _program(state: State, die: int, time: int) -> None:
    """Move what came in from the cache register to the array, and program it."""
    state.dies[die, _ARRAY_FIRST], state.dies[die, _ARRAY_COUNT] = state.dies[die, _CACHE_FIRST], state.dies[die, _CACHE_COUNT]
    state.dies[die, _CACHE_STATE] = _FREE
    state.dies[die, _ARRAY_STATE] = _PROGRAMMING
    state.dies[die, _ARRAY_BUSY] += state.times[_PROGRAM]
    _put(state, time + state.times[_PROGRAM], _ARRAY, die)


@compiled
def _unload(state: State, die: int) -> None:
    """Move sensed pages to the cache register, from where they leave."""
    state.dies[die, _CACHE_STATE] = _LEAVING
    state.dies[die, _CACHE_FIRST] = state.dies[die, _ARRAY_FIRST]
    state.dies[die, _CACHE_COUNT] = state.dies[die, _CACHE_LEFT] = state.dies[die, _ARRAY_COUNT]
    state.dies[die, _ARRAY_STATE] = _IDLE
    _want_bus(state, state.dies[die, _CACHE_FIRST], state.dies[die, _CACHE_COUNT])


@compiled
def _start(state: State, die: int, time: int) -> None:
    """Start what is at the head of a die's queue, if the die is ready for it."""
    if state.dies[die, _QUEUE_HEAD] == _NONE:
        return
    array, cache, has_cache = state.dies[die, _ARRAY_STATE], state.dies[die, _CACHE_STATE], state.times[_HAS_CACHE]
    if state.pages[state.dies[die, _QUEUE_HEAD], _IS_PROGRAM]:
        if cache != _FREE or not (array == _IDLE or (array == _PROGRAMMING and has_cache)):
            return
        first, count = _take_group(state, die)
        state.dies[die, _CACHE_STATE] = _COMING
        state.dies[die, _CACHE_FIRST] = first
        state.dies[die, _CACHE_COUNT] = state.dies[die, _CACHE_LEFT] = count
        _want_bus(state, first, count)
        return
    if array != _IDLE or not (cache == _FREE or (cache == _LEAVING and has_cache)):
        return
    state.dies[die, _ARRAY_FIRST], state.dies[die, _ARRAY_COUNT] = _take_group(state, die)
    if state.times[_COMMAND_TIME] == 0:
        _sense(state, die, time)
        return
    state.dies[die, _ARRAY_STATE] = _COMMAND
    _append(state.buses[state.dies[die, _CHANNEL_OF]], _COMMAND_HEAD, _COMMAND_TAIL, state.dies, _COMMAND_NEXT, die)


@compiled
def _begin(state: State, number: int, time: int) -> None:
    """Append the pages of a set to the queues of their dies, then let these start."""
    first = state.sets[number, _SET_FIRST]
    end = first + state.sets[number, _SET_SIZE]
    for page in range(first, end):
        die = state.pages[page, _DIE_OF]
        _append(state.dies[die], _QUEUE_HEAD, _QUEUE_TAIL, state.pages, _QUEUE_NEXT, page)
    for page in range(first, end):
        _start(state, state.pages[page, _DIE_OF], time)
    if first == end:
        _follow(state, number, time)


@compiled
def _array_done(state: State, die: int, time: int) -> None:
    if state.dies[die, _ARRAY_STATE] == _SENSING:
        if state.dies[die, _CACHE_STATE] == _FREE:
            _unload(state, die)
        else:
            state.dies[die, _ARRAY_STATE] = _SENSED
    else:
        state.dies[die, _ARRAY_STATE] = _IDLE
        page = state.dies[die, _ARRAY_FIRST]
        for _ in range(state.dies[die, _ARRAY_COUNT]):
            _complete(state, page, time)
            page = state.pages[page, _QUEUE_NEXT]
        if state.dies[die, _CACHE_STATE] == _FULL:
            _program(state, die, time)
    _start(state, die, time)


@compiled
def _bus_done(state: State, channel: int, time: int) -> None:
    die, page = state.buses[channel, _BUS_DIE], state.buses[channel, _BUS_PAGE]
    state.buses[channel, _BUS_DIE] = state.buses[channel, _BUS_PAGE] = _NONE
    if die != _NONE:
        _sense(state, die, time)
        return
    die = state.pages[page, _DIE_OF]
    state.dies[die, _CACHE_LEFT] -= 1
    if state.dies[die, _CACHE_STATE] == _LEAVING:
        _complete(state, page, time)
        if state.dies[die, _CACHE_LEFT] == 0:
            state.dies[die, _CACHE_STATE] = _FREE
            if state.dies[die, _ARRAY_STATE] == _SENSED:
                _unload(state, die)
    elif state.dies[die, _CACHE_LEFT] == 0:
        state.dies[die, _CACHE_STATE] = _FULL
        if state.dies[die, _ARRAY_STATE] == _IDLE:
            _program(state, die, time)
    _start(state, die, time)


@compiled
def _drive_bus(state: State, channel: int, time: int) -> None:
    """Let an idle bus take the next command or, without one, the next data."""
    if state.buses[channel, _BUS_DIE] != _NONE or state.buses[channel, _BUS_PAGE] != _NONE:
        return
    die, page = state.buses[channel, _COMMAND_HEAD], state.buses[channel, _DATA_HEAD]
    if die != _NONE:
        state.buses[channel, _COMMAND_HEAD] = state.dies[die, _COMMAND_NEXT]
        state.buses[channel, _BUS_DIE] = die
        taken = state.dies[die, _ARRAY_COUNT] * state.times[_COMMAND_TIME]
    elif page != _NONE:
        state.buses[channel, _DATA_HEAD] = state.pages[page, _DATA_NEXT]
        state.buses[channel, _BUS_PAGE] = page
        taken = state.pages[page, _TRANSFER] + state.pages[page, _IS_PROGRAM] * state.times[_COMMAND_TIME]
    else:
        return
    state.buses[channel, _BUS_BUSY] += taken
    _put(state, time + taken, _BUS, channel)


@compiled
def run(state: State, after: Integers) -> None:
    """Run until nothing is left to do. Buses are given away after everything that happens at one time has happened."""
    for number in range(len(after) - 1, -1, -1):
        if after[number] == _NONE:
            continue
        state.sets[number, _SET_SIBLING] = state.sets[after[number], _SET_FOLLOWER]
        state.sets[after[number], _SET_FOLLOWER] = number
    for number in range(len(after)):
        if after[number] == _NONE:
            _put(state, state.sets[number, _SET_EARLIEST], _BEGIN, number)
    channels = len(state.buses)
    while state.heap[0, 0] > 0:
        now = state.heap[1, 0]
        # One bus may be waited for because of this event; many, when a set begins.
        touched = _NONE
        while state.heap[0, 0] > 0 and state.heap[1, 0] == now:
            time, kind, what = _take(state)
            if kind == _BEGIN:
                _begin(state, what, time)
                channel = channels
            elif kind == _BUS:
                _bus_done(state, what, time)
                channel = what
            else:
                _array_done(state, what, time)
                channel = state.dies[what, _CHANNEL_OF]
            touched = channel if touched in (_NONE, channel) else channels
        if touched < channels:
            _drive_bus(state, touched, now)
        else:
            for channel in range(channels):
                _drive_bus(state, channel, now)
