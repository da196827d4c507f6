"""The units that compute: when the matrix unit pops beats and captures row blocks, and when the vector unit passes over rows."""

import numpy as np

from hwsim.arch.stream_sizes import SIZES
from hwsim.arch.timing import CODE_LATENCY, MEASURE_LATENCY, VECTOR_ROWS
from hwsim.compiled import compiled_part
from hwsim.machine.time.ports import ACCEPTED, POPPED
from hwsim.machine.time.work import AXPY, BLOCKS_TWO_CYCLES

__all__ = ["BLOCK", "BUSY_UNTIL", "CAPTURE_FROM", "MATRIX_STATE", "POSITION", "VECTOR_STATE", "advance_matrix", "advance_vector"]

BLOCK, POSITION, BUSY_UNTIL, CAPTURE_FROM, MATRIX_STATE = range(5)
"""State of the matrix unit: block and beat within it, last cycle the instruction holds, first cycle of a capture; its size."""

(_RUN,) = {each.run_words for each in SIZES.values() if each.word_cycles == 2}

_FREE_FROM, _CODES_END, _HELD_WORDS, _OLDEST, _STARTED = range(5)
_ROWS = 5
VECTOR_STATE = _ROWS + 2 * VECTOR_ROWS
"""State of the vector unit: first cycle the first pass is free, end of the last row's codes, words in the temporary memory,
rows that have left it and rows started in all; then length and end of the codes of the rows in it, by number modulo VECTOR_ROWS."""


@compiled_part
def advance_matrix(
    state: np.ndarray, streams: np.ndarray, amount: np.ndarray, ready: np.ndarray, pops: np.ndarray, waits: np.ndarray
) -> bool:
    """Consume beats while their arrivals are known; return whether the instruction has captured its last.

    `amount` is the instruction's row of `Work`; `waits` [3] counts cycles of beats, of missing beats and of the
    capture rule. When true is returned, the capture cycle is `state[BUSY_UNTIL]`.
    """
    kind, blocks, body, period, drain = amount[0], amount[1], amount[2], amount[3], amount[4]
    mask = len(ready) - 1
    now, capture_from, popped, accepted = state[BUSY_UNTIL], state[CAPTURE_FROM], streams[POPPED], streams[ACCEPTED]
    block, position = state[BLOCK], state[POSITION]
    memory, held = 0, 0
    if blocks == 0:
        capture = max(now + 1, capture_from)
        waits[2] += capture - now
        state[BUSY_UNTIL], state[CAPTURE_FROM] = capture, capture + drain
        return True
    if kind == AXPY:
        while popped < accepted and block < blocks:
            arrived = max(now + 1, ready[popped & mask])
            cycle = max(arrived, capture_from)
            memory += arrived - now - 1
            held += cycle - arrived
            pops[popped & mask] = cycle
            now = cycle
            popped += 1
            block += 1
            waits[0] += 1
        if block == blocks:
            capture_from = now + drain
    else:
        while popped < accepted and block < blocks:
            header = 1 if block % period == 0 else 0
            beats = header + body
            if kind == BLOCKS_TWO_CYCLES:
                stop = min(beats - 1, position + accepted - popped)
                while position < stop:
                    cycle = max(now + 1, ready[popped & mask])
                    memory += cycle - now - 1
                    pops[popped & mask] = cycle
                    now = cycle
                    if position >= header and (position - header) % _RUN:
                        now += 1
                        waits[0] += 1
                    popped += 1
                    position += 1
                    waits[0] += 1
            else:
                count = min(beats - 1 - position, accepted - popped)
                for index in range(popped, popped + count):
                    cycle = max(now + 1, ready[index & mask])
                    memory += cycle - now - 1
                    pops[index & mask] = cycle
                    now = cycle
                popped += count
                position += count
                waits[0] += count
            if position < beats - 1 or popped == accepted:
                break
            second = 1 if kind == BLOCKS_TWO_CYCLES else 0
            arrived = max(now + 1, ready[popped & mask])
            cycle = max(arrived, capture_from - second)
            memory += arrived - now - 1
            held += cycle - arrived
            pops[popped & mask] = cycle
            popped += 1
            waits[0] += 1 + second
            now = cycle + second
            capture_from = now + drain
            position = 0
            block += 1
    waits[1] += memory
    waits[2] += held
    streams[POPPED] = popped
    state[BLOCK], state[POSITION], state[BUSY_UNTIL], state[CAPTURE_FROM] = block, position, now, capture_from
    return block == blocks


@compiled_part
def advance_vector(state: np.ndarray, amount: np.ndarray, issue: int, capacity: int) -> tuple[int, int]:
    """Return (release, retire) of an instruction issued at `issue`; `capacity` is the temporary memory, in words."""
    rows, words, first = amount[0], amount[1], amount[2]
    start = issue + 1
    for _ in range(rows):
        start = max(start, state[_FREE_FROM])
        while state[_STARTED] - state[_OLDEST] == VECTOR_ROWS or state[_HELD_WORDS] + words > capacity:
            place = _ROWS + 2 * (state[_OLDEST] % VECTOR_ROWS)
            start = max(start, state[place + 1])
            state[_HELD_WORDS] -= state[place]
            state[_OLDEST] += 1
        free_from = start + first
        end = max(free_from + MEASURE_LATENCY, state[_CODES_END]) + words
        place = _ROWS + 2 * (state[_STARTED] % VECTOR_ROWS)
        state[place], state[place + 1] = words, end
        state[_HELD_WORDS] += words
        state[_STARTED] += 1
        state[_FREE_FROM], state[_CODES_END] = free_from, end
    return max(start, state[_FREE_FROM] - 2), state[_CODES_END] + CODE_LATENCY
