"""The HBM2 channel of the side port: accesses open rows of their own, writes in a line share one, reads and writes turn the bus."""

from __future__ import annotations

import numpy as np

from hwsim.compiled import compiled_part
from hwsim.memory.hbm2 import Law, cycle_of, first_refresh, tick_of

__all__ = ["side_beats", "side_response", "side_state", "start_side"]

_STARTED, _LAST_COLUMN, _WAS_WRITE, _LAST_ACTIVATE, _ACTIVATES, _REFRESH, _FLOOR, _CLOSED, _OPEN_WORD = range(9)
"""State: start, last column command and direction of the access before; last activate, activates so far; when the next
refresh is due; end of the last one; when all rows are closed; the word that was written last, -1 when its row is closed."""
_WINDOW, _STATE = 9, 13
_FAR_PAST = -(1 << 40)
_BEATS_PER_ATOM = 2
_WORD_BITS = 4


def side_state(law: Law, ports: int, seed: int) -> np.ndarray:
    """Return the state of the side port's channel at the start of a run, int64 [state]; `ports` counts the streams."""
    state = np.zeros(_STATE, dtype=np.int64)
    state[_LAST_COLUMN] = state[_LAST_ACTIVATE] = state[_CLOSED] = _FAR_PAST
    state[_WINDOW:] = _FAR_PAST
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
        oldest = _WINDOW + (state[_ACTIVATES] & 3)
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
