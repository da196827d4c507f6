"""The units that compute: when the matrix unit pops beats and captures row blocks, and when the vector unit passes over rows."""

import numpy as np

from hwsim.arch.stream_sizes import SIZES
from hwsim.arch.timing import CODE_LATENCY, MEASURE_LATENCY, VECTOR_ROWS
from hwsim.compiled import compiled_part
from hwsim.machine.time.ports import ACCEPTED, POPPED
from hwsim.machine.time.work import AXPY, BLOCKS, BLOCKS_TWO_CYCLES

__all__ = [
    "BLOCK",
    "BUSY_UNTIL",
    "CAPTURE_FROM",
    "CODES_END",
    "FREE_FROM",
    "HELD_WORDS",
    "MATRIX_STATE",
    "OLDEST",
    "POSITION",
    "ROWS",
    "STARTED",
    "VECTOR_STATE",
    "advance_matrix",
    "advance_vector",
]

BLOCK, POSITION, BUSY_UNTIL, CAPTURE_FROM, MATRIX_STATE = range(5)
"""State of the matrix unit: block and beat within it, last cycle the instruction holds, first cycle of a capture; its size."""

(_RUN,) = {each.run_words for each in SIZES.values() if each.word_cycles == 2}

FREE_FROM, CODES_END, HELD_WORDS, OLDEST, STARTED = range(5)
ROWS = 5
VECTOR_STATE = ROWS + 2 * VECTOR_ROWS
"""State of the vector unit: first cycle the first pass is free, end of the last row's codes, words in the temporary memory,
rows that have left it and rows started in all; then length and end of the codes of the rows in it, by number modulo VECTOR_ROWS."""


@compiled_part
def _pop_run(ready: np.ndarray, pops: np.ndarray, first: int, count: int, now: int) -> tuple[int, int]:
    """Pop `count` beats from number `first` on, one in each cycle after `now` in which it is there.

    Return the cycle of the last and the cycles of missing beats. Every beat becomes ready after the one before it, so that each is
    popped when it is ready, or when as many cycles as beats have gone by.
    """
    begin, left = now, count
    while left > 0:
        at = first & (len(ready) - 1)
        run = min(left, len(ready) - at)
        place = np.uintp(at)
        for k in range(run):
            pops[place + np.uintp(k)] = max(now + 1 + k, ready[place + np.uintp(k)])
        now = pops[at + run - 1]
        first += run
        left -= run
    return now, now - begin - count


@compiled_part
def _beats_before(block: int, body: int, period: int) -> int:
    """Return the beats of an instruction before a block: `body` of each block, and a header in front of every `period` of them."""
    return block * body + (block + period - 1) // period


@compiled_part
def advance_matrix(
    state: np.ndarray, streams: np.ndarray, amount: np.ndarray, index: int, ready: np.ndarray, pops: np.ndarray, waits: np.ndarray
) -> bool:
    """Consume beats while their arrivals are known; return whether the instruction has captured its last.

    `amount` is that of `Work`; `waits` [instructions, 3] counts cycles of beats, of missing beats and of the capture rule. Rows are
    named by `index`: a view of one costs more than what is read there. When true is returned, the capture cycle is
    `state[BUSY_UNTIL]`.
    """
    kind, blocks, body, period, drain = amount[index, 0], amount[index, 1], amount[index, 2], amount[index, 3], amount[index, 4]
    mask = len(ready) - 1
    now, capture_from, popped, accepted = state[BUSY_UNTIL], state[CAPTURE_FROM], streams[POPPED], streams[ACCEPTED]
    block, position = state[BLOCK], state[POSITION]
    memory, held = 0, 0
    if blocks == 0:
        capture = max(now + 1, capture_from)
        waits[index, 2] += capture - now
        state[BUSY_UNTIL], state[CAPTURE_FROM] = capture, capture + drain
        return True
    while popped < accepted and block < blocks:
        if kind == BLOCKS and position == 0 and body >= drain and capture_from <= now + body:
            # Every block is longer than the drain of the one before, so that none is held: whole blocks are one run of beats.
            begin = _beats_before(block, body, period)
            periods, rest = divmod(begin + accepted - popped, period * body + 1)
            block = min(blocks, periods * period + max(rest - 1, 0) // body)
            count = _beats_before(block, body, period) - begin
            if count > 0:
                now, missing = _pop_run(ready, pops, popped, count, now)
                memory += missing
                popped += count
                waits[index, 0] += count
                capture_from = now + drain
                continue
        header = 1 if kind != AXPY and block % period == 0 else 0
        # Beats of a block before the one that captures; of a weighted sum every beat is one, and only the first can be held.
        before = 0 if kind == AXPY else header + body - 1
        if kind == BLOCKS_TWO_CYCLES:
            stop = min(before, position + accepted - popped)
            while position < stop:
                cycle = max(now + 1, ready[popped & mask])
                memory += cycle - now - 1
                pops[popped & mask] = cycle
                now = cycle
                if position >= header and (position - header) % _RUN:
                    now += 1
                    waits[index, 0] += 1
                popped += 1
                position += 1
                waits[index, 0] += 1
        else:
            count = min(before - position, accepted - popped)
            now, missing = _pop_run(ready, pops, popped, count, now)
            memory += missing
            popped += count
            position += count
            waits[index, 0] += count
        if popped == accepted:
            # What is there is used up, before the beat that captures or in front of it.
            break
        second = 1 if kind == BLOCKS_TWO_CYCLES else 0
        arrived = max(now + 1, ready[popped & mask])
        cycle = max(arrived, capture_from - second)
        memory += arrived - now - 1
        held += cycle - arrived
        pops[popped & mask] = cycle
        popped += 1
        waits[index, 0] += 1 + second
        now = cycle + second
        position = 0
        block += 1
        if kind == AXPY:
            count = min(blocks - block, accepted - popped)
            now, missing = _pop_run(ready, pops, popped, count, now)
            memory += missing
            popped += count
            block += count
            waits[index, 0] += count
        if kind != AXPY or block == blocks:
            capture_from = now + drain
    waits[index, 1] += memory
    waits[index, 2] += held
    streams[POPPED] = popped
    state[BLOCK], state[POSITION], state[BUSY_UNTIL], state[CAPTURE_FROM] = block, position, now, capture_from
    return block == blocks


@compiled_part
def advance_vector(state: np.ndarray, amount: np.ndarray, index: int, issue: int, capacity: int) -> tuple[int, int]:
    """Return (release, retire) of an instruction issued at `issue`; `capacity` is the temporary memory, in words."""
    rows, words, first = amount[index, 0], amount[index, 1], amount[index, 2]
    start = issue + 1
    for _ in range(rows):
        start = max(start, state[FREE_FROM])
        while state[STARTED] - state[OLDEST] == VECTOR_ROWS or state[HELD_WORDS] + words > capacity:
            place = ROWS + 2 * (state[OLDEST] % VECTOR_ROWS)
            start = max(start, state[place + 1])
            state[HELD_WORDS] -= state[place]
            state[OLDEST] += 1
        free_from = start + first
        end = max(free_from + MEASURE_LATENCY, state[CODES_END]) + words
        place = ROWS + 2 * (state[STARTED] % VECTOR_ROWS)
        state[place], state[place + 1] = words, end
        state[HELD_WORDS] += words
        state[STARTED] += 1
        state[FREE_FROM], state[CODES_END] = free_from, end
    return max(start, state[FREE_FROM] - 2), state[CODES_END] + CODE_LATENCY
