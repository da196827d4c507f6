"""The matrix unit: in which cycles beats are popped and row blocks captured, and what it waits for in between."""

from __future__ import annotations

import numpy as np

from hwsim.arch.stream_sizes import SIZES
from hwsim.compiled import compiled_part
from hwsim.machine.time.ports import ACCEPTED, POPPED
from hwsim.machine.time.work import AXPY, BLOCKS_TWO_CYCLES

__all__ = ["BLOCK", "BUSY_UNTIL", "CAPTURE_FROM", "MATRIX_STATE", "POSITION", "advance_matrix"]

BLOCK, POSITION, BUSY_UNTIL, CAPTURE_FROM, MATRIX_STATE = range(5)
"""State: block and beat within it, last cycle the instruction holds, first cycle a capture may happen; its size."""

(_RUN,) = {each.run_words for each in SIZES.values() if each.word_cycles == 2}


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
