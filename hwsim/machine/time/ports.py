"""The ports: when bursts are accepted and beats can be popped, and when runs of the side port deliver and are answered."""

import numpy as np

from hwsim.arch.timing import FIFO_LATENCY, READ_LATENCY, SIDE_BURST_BEATS, WRITE_LATENCY, WRITE_LEAD
from hwsim.compiled import compiled_part
from hwsim.memory.hbm2 import burst_arrivals, fill_ring, side_beats, side_response
from hwsim.memory.models import Channels, MemoryKind, first_open

__all__ = ["ACCEPTED", "FETCH_STATE", "LAST", "OFFSET", "POPPED", "REMAINING", "advance_fetch", "side_read", "side_write"]

OFFSET, REMAINING, ACCEPTED, POPPED, LAST, FETCH_STATE = range(6)
"""State of the readers: next beat, beats not asked for, beats accepted and popped in all, last acceptance; its size."""

_AR, _R, _AW, _W, _B = range(5)
_IDEAL, _HBM2 = int(MemoryKind.IDEAL), int(MemoryKind.HBM2)


@compiled_part
def _more_bursts(
    most: int, beats: int, burst_beats: int, accept: int, credit: int, slack: int, needed: int, pops: np.ndarray
) -> tuple[int, int]:
    """Return how many beats of whole bursts come right behind a burst's `beats`, and when the last of them is accepted.

    The burst has credit from cycle `credit` on (0: it needs none) and is accepted in cycle `accept`; its first beat comes `slack`
    cycles later than that allows, and no more than `most` beats may be in flight with it. Each of the others is accepted a cycle
    after the one before where no credit holds them, or when the pop before its last beat gives it credit, where there is one in
    every cycle.
    """
    mask = len(pops) - 1
    bursts = (most - beats) // burst_beats
    while bursts > 0:
        more = bursts * burst_beats
        last = pops[(needed + more - 1) & mask] + 1 if needed + more > 0 else 0
        if last <= accept + 1:
            return more, accept + bursts
        if credit == accept and last == credit + more and slack + beats >= burst_beats:
            return more, last
        bursts >>= 1
    return 0, accept


@compiled_part
def advance_fetch(
    state: np.ndarray,
    model: Channels,
    burst_beats: int,
    earliest: np.ndarray,
    arrival: np.ndarray,
    ready: np.ndarray,
    pops: np.ndarray,
) -> bool:
    """Accept bursts while the pops that give their credit are known; return whether all beats are accepted.

    All ports ask for the same bursts, so one count serves them; `earliest` and `arrival` [ports, or 1 where one stands
    for all] hold the first cycle of the next address and the last beat's cycle. `ready` and `pops` [fifo_beats] are rings: when
    beat i of every port can be popped, and when it was.
    """
    kind, seed, law, channels, _ = model
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
                arrival[port] = burst_arrivals(law, channels, accept, offset, arrival[port], accepted, beats, FIFO_LATENCY, ready)
                continue
            beat = max(arrival[port] + 1, accept + READ_LATENCY) - 1
            if kind == _IDEAL:
                # All ports are alike, so that this is the only one.
                slack = beat + 1 - accept - READ_LATENCY
                more, accept = _more_bursts(
                    min(remaining, popped - needed + beats), beats, burst_beats, accept, credit, slack, needed, pops
                )
                fill_ring(ready, accepted, beats + more, beat + 1 + FIFO_LATENCY)
                earliest[port], arrival[port], last = accept + 1, beat + beats + more, accept
                beats += more
                continue
            for index in range(accepted, accepted + beats):
                beat += 1
                beat = first_open(kind, seed, port, _R, beat)
                if port == 0:
                    ready[index & mask] = beat + FIFO_LATENCY
                else:
                    ready[index & mask] = max(ready[index & mask], beat + FIFO_LATENCY)
            arrival[port] = beat
        accepted += beats
        offset += beats
        remaining -= beats
    state[OFFSET], state[REMAINING], state[ACCEPTED], state[LAST] = offset, remaining, accepted, last
    return remaining == 0


@compiled_part
def side_read(model: Channels, port: int, start: int, beats: int) -> int:
    """Return the cycle of the last of `beats` beats; the first address may be up in cycle `start`."""
    kind, seed, law, _, state = model
    accept, beat, remaining = start - 1, -1, beats
    while remaining > 0:
        count = min(remaining, SIDE_BURST_BEATS)
        accept = first_open(kind, seed, port, _AR, accept + 1)
        if kind == _HBM2:
            beat = side_beats(law, state, accept, beat, count)
        else:
            beat = max(beat, accept + READ_LATENCY - 1)
            for _ in range(count):
                beat = first_open(kind, seed, port, _R, beat + 1)
        remaining -= count
    return beat


@compiled_part
def side_write(model: Channels, port: int, start: int, beats: int, word: int, answered: int) -> tuple[int, int]:
    """Return the cycles of the last acceptance and of the last response of `beats` single-beat writes.

    The writer starts in cycle `start`; the response before came in cycle `answered`. They go to words from `word` on of
    the side memory, or elsewhere when it is -1.
    """
    kind, seed, law, _, state = model
    rise, response = start + WRITE_LEAD, answered
    for index in range(beats):
        address = first_open(kind, seed, port, _AW, rise)
        data = first_open(kind, seed, port, _W, rise)
        written = max(address, data)
        if kind == _HBM2:
            response = side_response(law, state, written, response, word + index if word >= 0 else -1)
        else:
            response = first_open(kind, seed, port, _B, max(response + 1, written + WRITE_LATENCY))
        rise = written + 1
    return rise - 1, response
