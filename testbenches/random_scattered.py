"""Random programs that read memory in short pieces from many rows, so that the timing of rows and banks shows."""

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Axpy, End, Fetch, Load, Loop, Space, Store
from testbenches.random_program import RandomProgram

__all__ = ["scattered_program"]

_PORT_BYTES = 1 << 18
_NEAR_BYTES = 1 << 14
"""Addresses that differ by a multiple of this lie in other rows of the same banks."""
_PLACES = 12
_SIDE_UNITS = 4096
_MOST_SLICES_A_TOKEN = 64


def scattered_program(config: EngineConfig, seed: int, fetches: int = 90, turns: int = 6) -> RandomProgram:
    """Return a program of many short reads of every port, and of loads and stores beside them; equal arguments, equal program.

    A dozen places in each of sixteen rows are read in `turns` turns of `fetches`, so that rows hit, miss and conflict.
    What is read is multiplied by zeros.
    """
    rng = np.random.default_rng(seed)
    tile, buffer = config.tile, config.buffer
    beats_of = {"near": _NEAR_BYTES // tile.port_bytes, "all": _PORT_BYTES // tile.port_bytes}
    near = rng.integers(0, beats_of["near"], _PLACES)
    burst, most = config.fetch.burst_beats, config.fetch.fifo_beats // 2
    segments = max(0, (tile.slices - 1) // _MOST_SLICES_A_TOKEN).bit_length()
    room = buffer.activation_segments * 64 // (tile.slices >> segments)
    words: list[int] = []
    held = 0
    for number in range(fetches):
        beats = int(rng.choice([1, 1, 2, 3, int(rng.integers(1, 2 * burst))]))
        beats = min(beats, most - held)
        row = int(rng.integers(_PORT_BYTES // _NEAR_BYTES)) * beats_of["near"]
        offset = min(row + int(rng.choice(near)) + int(rng.integers(3)), beats_of["all"] - beats)
        words.append(Fetch(offset=offset, beats=beats).encode())
        held += beats
        # Read on before the array consumes, so that the channel is busy.
        if held >= most or number == fetches - 1 or rng.random() < 0.1:
            words += _consumed(held, room, segments)
            held = 0
        if rng.random() < 0.1:
            words.append(_copied(rng, config))
    words = [Loop(count=turns, length=len(words)).encode(), *words, End().encode()]
    ports = rng.integers(0, 256, (tile.ports, _PORT_BYTES), dtype=np.uint8)
    return RandomProgram(words, ports, np.zeros(16 * _SIDE_UNITS, np.uint8), (0, 0))


def _consumed(beats: int, room: int, segments: int) -> list[int]:
    counts = [min(room, beats - start) for start in range(0, beats, room)]
    return [Axpy(rows=1, source=0, beats=count, segments=segments, scale=0, address=0, stride=0).encode() for count in counts]


def _copied(rng: np.random.Generator, config: EngineConfig) -> int:
    """Return a load of zeros, or a store of zeros, from a few beats to more than a burst."""
    words = min(config.buffer.parameter_words, config.buffer.result_words)
    beats = int(rng.integers(1, min(100, words * config.vector.lanes // 4)))
    if rng.random() < 0.5:
        return Load(space=Space.PARAMETER, address=0, beats=beats, offset=64 * int(rng.integers(16))).encode()
    return Store(address=0, beats=beats, offset=_SIDE_UNITS // 2 + int(rng.integers(1000))).encode()
