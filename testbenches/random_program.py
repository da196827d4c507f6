"""Random legal programs: every instruction, format and mode, ordered by tokens so that engines agree on the result."""

from typing import NamedTuple

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import (
    REGISTER_POSITION,
    REGISTER_SLOT,
    Axpy,
    CacheFormat,
    End,
    Fetch,
    Function,
    Load,
    Loop,
    Scalar,
    Space,
    Store,
)
from testbenches.random_operations import LOOP_REGISTERS, Operations
from testbenches.random_state import OPERAND_REGISTERS
from testbenches.random_streams import row_stream

__all__ = ["RandomProgram", "random_program", "scattered_program"]

_MASK = 0xFFFFFFFF


class RandomProgram(NamedTuple):
    """A program, its memories before the run, and the start values of the registers `position` and `slot`.

    `words` are 128-bit integers; `ports` is uint8 [ports, bytes] and `side` uint8 [bytes], without the program.
    On-chip memories start at zero.
    """

    words: list[int]
    ports: np.ndarray
    side: np.ndarray
    registers: tuple[int, int]


def random_program(config: EngineConfig, seed: int, operations: int = 12, cache: CacheFormat | None = None) -> RandomProgram:
    """Return a random program of about `operations` operations; equal arguments give equal programs.

    It uses the low part of every memory, so that operations meet each other's results. Its cache is of one format, by
    default any that the engine holds; raises ScheduleError for one that it does not.
    """
    return _Builder(config, seed, cache).build(operations)


class _Builder(Operations):
    def build(self, operations: int) -> RandomProgram:
        start = (self.registers[REGISTER_POSITION], self.registers[REGISTER_SLOT])
        self._memories()
        self._norm()
        for _ in range(operations):
            if len(self.order.items) > self.config.control.program_words - 100:
                break
            self._operation()
        self.order.control(End())
        words = [item.encode() for item in self.order.items]
        return RandomProgram(words, self.ports, self.side, start)

    def _operation(self) -> None:
        choices = [
            (self._weights, 5),
            (self._scores, 2),
            (self._attention, 2),
            (self._norm, 2),
            (self._quant, 2),
            (self._swiglu, 2),
            (self._rope, 2),
            (self._kvquant, 2),
            (self._append, 3),
            (self._load, 1),
            (self._store, 2),
            (self._growing, 1),
        ]
        if self.depth < 2:
            choices.append((self._loop, 2))
        if self.depth == 0:
            choices.append((self._scalar, 3))
        weights = np.array([weight for _, weight in choices], dtype=float)
        choices[int(self.rng.choice(len(choices), p=weights / weights.sum()))][0]()

    def _scalar(self) -> None:
        function = Function(self._pick(0, 6))
        first, second, target = (int(self.rng.choice((0, *OPERAND_REGISTERS))) for _ in range(3))
        immediate = self._pick(-3, 40) if self._chance(0.8) else self._pick(-(1 << 31), (1 << 31) - 1)
        limit = self.registers[first] if self._chance(0.5) else self._pick(0, 9)
        self.order.control(Scalar(function=function, target=target, immediate=immediate, limit=limit, registers=(first, second, 0)))
        a, b = self.registers[first], (self.registers[second] + immediate) & _MASK
        x, y = (value - (value >> 31 << 32) for value in (a, b))
        value = (a + b, a - b, a if x < y else b, a if x > y else b, a * b, a >> b % 32, b if a == limit else a)[function]
        if target:
            self.registers[target] = value & _MASK

    def _loop(self) -> None:
        """Repeat a few operations; the loop's streams may move on by a register from turn to turn."""
        self.order.barrier()
        register = LOOP_REGISTERS[self.depth][0]
        count, stream = self._pick(1, 4), None
        if self._chance(0.7):
            format_, inner, blocks = self._shape()
            stream = [row_stream(self.rng, format_, inner, blocks, self.slices) for _ in range(self._pick(1, count))]
            step = stream[0].shape[1]
            if blocks == 0 or step * len(stream) > self._room():
                stream = None
        if stream is not None:
            base = self._place(np.concatenate(stream, axis=1))
            self.order.control(Scalar(function=Function.ADD, target=register))
        start = self.order.open_loop()
        self.depth += 1
        if stream is not None:
            self.order.add(Fetch, {"offset": base, "beats": step}, (register, 0, 0), [])
            self._dot(format_, inner, blocks)
            self.order.control(Scalar(function=Function.ADD, target=register, immediate=step, registers=(register, 0, 0)))
            self.order.control(
                Scalar(function=Function.WRAP, target=register, limit=step * len(stream), registers=(register, 0, 0))
            )
        for _ in range(self._pick(0 if stream else 1, 3)):
            self._operation()
        self.order.barrier()
        if self._chance(0.3):
            self.order.control(Scalar(function=Function.MUL, target=0, immediate=self._pick(0, 9), registers=(1, 2, 0)))
        self.depth -= 1
        self.order.close_loop(start, count)


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
