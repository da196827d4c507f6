"""Random legal programs: every instruction, format and mode, ordered by tokens so that engines agree on the result."""

from typing import NamedTuple

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, CacheFormat, End, Fetch, Function, Scalar
from testbenches.random_operations import LOOP_REGISTERS, Operations
from testbenches.random_state import OPERAND_REGISTERS
from testbenches.random_streams import row_stream

__all__ = ["RandomProgram", "random_program"]

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
