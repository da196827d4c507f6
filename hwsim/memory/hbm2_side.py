"""The HBM2 channel of the side port: accesses open rows of their own, writes in a line share one, reads and writes turn the bus."""

from __future__ import annotations

import numpy as np

from hwsim.compiled import compiled_part
from hwsim.memory.hbm2 import LAW, Law, cycle_of, first_refresh, tick_of

__all__ = ["side_beats", "side_response", "side_state", "start_side"]

_ROW_BITS, _REQUEST, _REPLY, _RCD, _RP, _RAS, _RRD_S, _FAW, _RTP, _WR, _CCD_S, _CCD_L, _CL, _CWL, _WTR, _TURN, _REFI, _RFC = (
    LAW.index(name)
    for name in (
        "row_bits",
        "request",
        "reply",
        "t_rcd",
        "t_rp",
        "t_ras",
        "t_rrd_s",
        "t_faw",
        "t_rtp",
        "t_wr",
        "t_ccd_s",
        "t_ccd_l",
        "t_cl",
        "t_cwl",
        "t_wtr",
        "t_turn",
        "t_refi",
        "t_rfc",
    )
)
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
    state[_REFRESH] = first_refresh(law[_REFI], ports, ports, seed)
    return state


@compiled_part
def start_side(law: Law, state: np.ndarray, visible: int, atoms: int, is_write: int, word: int) -> int:
    """Return the clock of the first column command of an access known from `visible` on.

    `word` is the 16-byte word of the side memory that is written; -1 for reads and for words elsewhere.
    """
    floor = state[_FLOOR]
    gap = law[_CCD_S]
    page_words = 2 << law[_ROW_BITS] >> _WORD_BITS
    is_open = word > 0 and word == state[_OPEN_WORD] + 1 and word % page_words != 0
    if is_open:
        gap = law[_CCD_L]
    elif is_write and not state[_WAS_WRITE]:
        gap += law[_CL] + law[_TURN] - law[_CWL]
    elif state[_WAS_WRITE] and not is_write:
        gap += law[_CWL] + law[_WTR]
    prepare = max(visible, state[_STARTED], floor)
    start = max(visible, state[_LAST_COLUMN] + gap, floor)
    while state[_REFRESH] <= start:
        state[_FLOOR] = max(state[_REFRESH], state[_CLOSED], state[_FLOOR]) + law[_RFC]
        state[_REFRESH] += law[_REFI]
        is_open = False
        prepare, start = max(prepare, state[_FLOOR]), max(start, state[_FLOOR])
    activate = state[_LAST_ACTIVATE]
    for turn in range(0 if is_open else min(atoms, 2)):
        oldest = _WINDOW + (state[_ACTIVATES] & 3)
        activate = max(prepare, state[_LAST_ACTIVATE] + law[_RRD_S], state[oldest] + law[_FAW])
        state[_LAST_ACTIVATE] = state[oldest] = activate
        state[_ACTIVATES] += 1
        start = max(start, activate + law[_RCD] - turn * law[_CCD_S])
    ending = start + (atoms - 1) * law[_CCD_S]
    closing = ending + law[_CWL] + law[_CCD_S] + law[_WR] if is_write else ending + law[_RTP]
    state[_CLOSED] = max(state[_CLOSED], max(closing, activate + law[_RAS]) + law[_RP])
    state[_STARTED], state[_LAST_COLUMN], state[_WAS_WRITE] = start, ending, is_write
    state[_OPEN_WORD] = word
    return start


@compiled_part
def side_beats(law: Law, state: np.ndarray, accept: int, beat: int, beats: int) -> int:
    """Return the cycle of the last beat of a read burst; `beat` is that of the beat before it."""
    start = start_side(law, state, tick_of(law, accept) + law[_REQUEST], -(-beats // _BEATS_PER_ATOM), 0, -1)
    data = start + law[_CL] + law[_REPLY]
    for k in range(beats):
        beat = max(beat + 1, cycle_of(law, data + (k // _BEATS_PER_ATOM + 1) * law[_CCD_S]))
    return beat


@compiled_part
def side_response(law: Law, state: np.ndarray, written: int, response: int, word: int) -> int:
    """Return the cycle of the response to a write of one beat; `response` is that of the one before, `word` as above."""
    start = start_side(law, state, tick_of(law, written) + law[_REQUEST], 1, 1, word)
    return max(response + 1, cycle_of(law, start + law[_CWL] + law[_CCD_S] + law[_REPLY]))
