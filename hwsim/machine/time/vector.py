"""The vector unit: when the passes over the rows of an instruction start, and when it is free and done."""

from __future__ import annotations

import numpy as np

from hwsim.arch.timing import CODE_LATENCY, MEASURE_LATENCY, VECTOR_ROWS
from hwsim.compiled import compiled_part

__all__ = ["VECTOR_STATE", "advance_vector"]

_FREE_FROM, _CODES_END, _HELD_WORDS, _OLDEST, _STARTED = range(5)
_ROWS = 5
VECTOR_STATE = _ROWS + 2 * VECTOR_ROWS
"""State: first cycle the first pass is free, end of the last row's codes, words in the temporary memory, rows that have
left it and rows started in all; then length and end of the codes of the rows in it, by row number modulo VECTOR_ROWS."""


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
