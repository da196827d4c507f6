"""The port readers: in which cycles bursts are accepted and beats can be popped."""

from __future__ import annotations

import numpy as np

from hwsim.compiled import compiled_part
from hwsim.memory.hbm2 import burst_arrivals
from hwsim.memory.models import Channels, MemoryKind, first_open

__all__ = ["ACCEPTED", "FETCH_STATE", "LAST", "OFFSET", "POPPED", "REMAINING", "advance_fetch"]

OFFSET, REMAINING, ACCEPTED, POPPED, LAST, FETCH_STATE = range(6)
"""State of the readers: next beat, beats not asked for, beats accepted and popped in all, last acceptance; its size."""

_AR, _R = 0, 1
_HBM2 = int(MemoryKind.HBM2)


@compiled_part
def advance_fetch(
    state: np.ndarray,
    model: Channels,
    burst_beats: int,
    latencies: tuple[int, int],
    earliest: np.ndarray,
    arrival: np.ndarray,
    ready: np.ndarray,
    pops: np.ndarray,
) -> bool:
    """Accept bursts while the pops that give their credit are known; return whether all beats are accepted.

    All ports ask for the same bursts, so one count serves them; `earliest` and `arrival` [ports, or 1 where one stands
    for all] hold the first cycle of the next address and the last beat's cycle.
    `ready` and `pops` [fifo_beats] are rings: when beat i of every port
    can be popped, and when it was. `latencies` are those of reads and of the FIFOs.
    """
    kind, seed, law, channels, _ = model
    read_latency, fifo_latency = latencies
    mask = len(ready) - 1
    offset, remaining, accepted, popped, last = (state[OFFSET], state[REMAINING], state[ACCEPTED], state[POPPED], state[LAST])
    while remaining > 0:
        beats = min(remaining, burst_beats - offset % burst_beats)
        needed = accepted + beats - len(ready)
        if needed > popped:
            break
        credit = pops[(needed - 1) & mask] + 1 if needed > 0 else 0
        for port in range(len(earliest)):
            accept = first_open(kind, seed, port, _AR, max(earliest[port], credit))
            earliest[port] = accept + 1
            last = max(last, accept)
            if kind == _HBM2:
                arrival[port] = burst_arrivals(law, channels, accept, offset, arrival[port], accepted, beats, fifo_latency, ready)
                continue
            beat = max(arrival[port] + 1, accept + read_latency) - 1
            for index in range(accepted, accepted + beats):
                beat += 1
                if kind != 0:
                    beat = first_open(kind, seed, port, _R, beat)
                if port == 0:
                    ready[index & mask] = beat + fifo_latency
                else:
                    ready[index & mask] = max(ready[index & mask], beat + fifo_latency)
            arrival[port] = beat
        accepted += beats
        offset += beats
        remaining -= beats
    state[OFFSET], state[REMAINING], state[ACCEPTED], state[LAST] = offset, remaining, accepted, last
    return remaining == 0
