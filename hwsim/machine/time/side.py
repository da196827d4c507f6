"""The side port: when a read run delivers its last beat, and when the last write of a run is answered."""

from __future__ import annotations

from hwsim.compiled import compiled_part
from hwsim.memory.hbm2_side import side_beats, side_response
from hwsim.memory.models import Channels, MemoryKind, first_open

__all__ = ["side_read", "side_write"]

_AR, _R, _AW, _W, _B = range(5)
_HBM2 = int(MemoryKind.HBM2)


@compiled_part
def side_read(model: Channels, port: int, burst_beats: int, read_latency: int, start: int, beats: int) -> int:
    """Return the cycle of the last of `beats` beats; the first address may be up in cycle `start`."""
    kind, seed, law, _, state = model
    accept, beat, remaining = start - 1, -1, beats
    while remaining > 0:
        count = min(remaining, burst_beats)
        accept = first_open(kind, seed, port, _AR, accept + 1)
        if kind == _HBM2:
            beat = side_beats(law, state, accept, beat, count)
        else:
            beat = max(beat, accept + read_latency - 1)
            for _ in range(count):
                beat = first_open(kind, seed, port, _R, beat + 1)
        remaining -= count
    return beat


@compiled_part
def side_write(model: Channels, port: int, write_latency: int, start: int, beats: int, word: int, answered: int) -> tuple[int, int]:
    """Return the cycles of the last acceptance and of the last response of `beats` single-beat writes.

    The first rises in cycle `start`; the response before came in cycle `answered`. They go to words from `word` on of
    the side memory, or elsewhere when it is -1.
    """
    kind, seed, law, _, state = model
    rise, response = start, answered
    for index in range(beats):
        address = first_open(kind, seed, port, _AW, rise)
        data = first_open(kind, seed, port, _W, rise)
        written = max(address, data)
        if kind == _HBM2:
            response = side_response(law, state, written, response, word + index if word >= 0 else -1)
        else:
            response = first_open(kind, seed, port, _B, max(response + 1, written + write_latency))
        rise = written + 1
    return rise - 1, response
