"""The state of a random program in the making: memories, registers, places of results, and the order that tokens keep."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, CacheFormat, CacheKind, Dot, Fetch, Format, Load, Loop, Quant, Space
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from hwsim.errors import ScheduleError
from testbenches.random_streams import cache_pair, port_bytes_of, scale_bytes

__all__ = ["HEADS", "OPERAND_REGISTERS", "SIDE_UNITS", "STORE_UNIT", "Order", "ProgramState", "Use"]


@dataclasses.dataclass(frozen=True)
class Use:
    """Words first .. end - 1 of a memory (or a shared port) that an instruction reads or writes."""

    memory: str
    first: int
    end: int
    is_written: bool

    def collides(self, other: Self) -> bool:
        """Return whether the order of the two matters."""
        return (
            self.memory == other.memory
            and (self.is_written or other.is_written)
            and self.first < other.end
            and other.first < self.end
        )


@dataclasses.dataclass(kw_only=True)
class _Item:
    kind: type[Instruction]
    fields: dict[str, int]
    registers: tuple[int, ...]
    wait: int = 0
    signal: int = 0

    def encode(self) -> int:
        create: Any = self.kind
        return int(create(**self.fields, registers=self.registers, wait=self.wait, signal=self.signal).encode())


class Order:
    """Collects instructions in program order.

    The n-th signal of a unit to another answers the other's n-th wait, so for each pair of units the awaited
    instructions must follow in order: a wait is only added for an instruction later than those already waited for.
    """

    def __init__(
        self, rng: np.random.Generator, fifo_beats: int, pass_on: Callable[[Unit], tuple[type[Instruction], dict[str, int]]]
    ):
        self.rng, self.fifo_beats, self.pass_on = rng, fifo_beats, pass_on
        self.waiting_beats = 0
        self.last = [-1] * len(Unit)
        self.items: list[Any] = []
        self.seen = [[-1] * len(Unit) for _ in Unit]
        self.uses: list[tuple[int, Unit, Use]] = []

    def add(self, kind: type[Instruction], fields: dict[str, int], registers: tuple[int, ...], uses: list[Use]) -> None:
        """Add a unit instruction that waits for every earlier one it collides with."""
        unit = Unit(kind.unit or 0)
        if unit is Unit.MATRIX and self._meets_itself(uses):
            # Matrix results are still on their way when its next instruction starts: go round through another unit.
            relay = self._append(*self.pass_on(Unit.VECTOR))
            last = max(index for index, other, _ in self.uses if other is Unit.MATRIX)
            self._after(last, Unit.MATRIX, relay, Unit.VECTOR)
            own = self._append(kind, fields, registers)
            self._after(relay, Unit.VECTOR, own, Unit.MATRIX)
        else:
            own = self._append(kind, fields, registers)
        needed: dict[Unit, int] = {}
        for index, other, earlier in self.uses:
            if other is not unit and any(use.collides(earlier) for use in uses):
                needed[other] = max(index, needed.get(other, -1))
        self._needless(needed, unit)
        for other, index in needed.items():
            self._after(index, other, own, unit)
        self.uses += [(own, unit, use) for use in uses]

    def control(self, instruction: Instruction) -> None:
        """Add an instruction of control."""
        self.items.append(instruction)

    def drained(self) -> None:
        """Note that all beats fetched so far have consumers; else one may wait only for fetches the FIFOs can hold."""
        self.waiting_beats = 0

    def barrier(self) -> None:
        """Make everything after wait for everything before; all fetched beats must have consumers."""
        others = (Unit.FETCH, Unit.MATRIX, Unit.MOVER)
        arrived = [(self._append(*self.pass_on(unit)), unit) for unit in others]
        hub = self._append(*self.pass_on(Unit.VECTOR))
        for index, unit in arrived:
            self._after(index, unit, hub, Unit.VECTOR)
        for unit in others:
            self._after(hub, Unit.VECTOR, self._append(*self.pass_on(unit)), unit)
        self.uses.clear()
        self.seen = [[len(self.items) - 1] * len(Unit) for _ in Unit]

    def open_loop(self) -> int:
        """Start a loop's body, right after a barrier and scalars, and return its place."""
        self.items.append(None)
        return len(self.items) - 1

    def close_loop(self, start: int, count: int) -> None:
        """End the body, which ends with a barrier and scalars."""
        self.items[start] = Loop(count=count, length=len(self.items) - 1 - start)

    def _append(self, kind: type[Instruction], fields: dict[str, int], registers: tuple[int, ...] = (0, 0, 0)) -> int:
        self.items.append(_Item(kind=kind, fields=fields, registers=registers))
        unit = Unit(kind.unit or 0)
        self.last[unit] = len(self.items) - 1
        if unit is Unit.FETCH:
            # A register may bring any number of beats.
            self.waiting_beats += self.fifo_beats + 1 if any(registers) else fields["beats"]
        return len(self.items) - 1

    def _after(self, first: int, producer: Unit, second: int, consumer: Unit) -> None:
        if first > self.seen[producer][consumer]:
            self.items[first].signal |= 1 << consumer
            self.items[second].wait |= 1 << producer
            self.seen[producer][consumer] = first

    def _needless(self, needed: dict[Unit, int], unit: Unit) -> None:
        """Sometimes wait for an instruction that shares no resource."""
        for other in Unit:
            may_wait = other is not unit and (other is not Unit.FETCH or self.waiting_beats <= self.fifo_beats)
            if may_wait and self.last[other] >= 0 and self.rng.random() < 0.1:
                needed[other] = self.last[other]

    def _meets_itself(self, uses: list[Use]) -> bool:
        return any(
            other is Unit.MATRIX and use.memory == "X" and use.collides(earlier) for _, other, earlier in self.uses for use in uses
        )


_PORT_BEATS = 4096
SIDE_UNITS = 2048
STORE_UNIT = 1024
"""First 16-byte unit of the side memory that stores write; loads read below it."""
HEADS = (32, 64, 128)
"""Elements of a cached head."""
OPERAND_REGISTERS = (1, 2, 3, 4, 5, 6, 7)
"""Registers that hold known values, from which operand fields may be made."""


class ProgramState:
    """The program so far, and the state that a next instruction may use."""

    def __init__(self, config: EngineConfig, seed: int, cache: CacheFormat | None = None):
        self.config, self.rng = config, np.random.default_rng(seed)
        self.slices, self.lanes, self.tokens = config.tile.slices, config.vector.lanes, config.tile.tokens
        buffer = config.buffer
        # The last segment, scale entry and parameter word are kept for the instructions that only pass tokens on.
        self.segments, self.scales = min(buffer.activation_segments, 64) - 1, min(buffer.scales, 64) - 1
        self.result, self.side_words = min(buffer.result_words, 512), buffer.side_words
        self.residual = min(buffer.residual_words, max(16, 512 // self.lanes))
        self.parameters = min(buffer.parameter_words, max(16, 1024 // self.lanes)) - 1
        self.constants = self.parameters // 2
        # Words of a cached head, each in a slice of its own for values.
        most = min(self.slices, self.lanes)
        heads = [(format, format.words(size)) for format in CacheFormat for size in HEADS if size >= self.lanes]
        heads = [(format, words) for format, words in heads if words <= most and cache in (None, format)]
        if cache is not None and not heads:
            raise ScheduleError(f"Cache of a random program must fit an engine of {most} slices a token, not be {cache.name}")
        self.cache, self.held = heads[int(self.rng.integers(len(heads)))]
        self.parts = self.held // self.cache.planes
        beat_limit = min(_PORT_BEATS, config.channel_bytes // config.tile.port_bytes)
        self.ports = self.rng.integers(0, 256, (config.tile.ports, beat_limit * config.tile.port_bytes), dtype=np.uint8)
        self.beat_limit, self.next_beat = beat_limit, 0
        self.side = self.rng.integers(0, 256, SIDE_UNITS * 16, dtype=np.uint8)
        self.order = Order(self.rng, config.fetch.fifo_beats, self._pass_on)
        self.registers = [0] * 16
        self.registers[REGISTER_POSITION], self.registers[REGISTER_SLOT] = self._pick(0, 7), self._pick(0, 5)
        self.results: list[tuple[int, int, int, int]] = []
        self.codes: list[tuple[int, int, int]] = []
        self.scores: list[tuple[int, int, int, int, int]] = []
        self.packed: dict[int, CacheKind] = {}
        self.depth = 0

    def _pick(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, max(low, high) + 1))

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _emit(self, kind_: type[Instruction], uses: list[Use], **fields: int) -> None:
        """Emit a unit instruction; operand fields may come out of a register that holds a known value."""
        registers = [0, 0, 0]
        for field in kind_.layout:
            if field.register is not None and self._chance(0.3):
                number = int(self.rng.choice(OPERAND_REGISTERS))
                if self.registers[number] <= fields[field.name]:
                    registers[field.register] = number
                    fields[field.name] -= self.registers[number]
        self.order.add(kind_, fields, tuple(registers), uses)

    def _pass_on(self, unit: Unit) -> tuple[type[Instruction], dict[str, int]]:
        """Return an instruction of a unit that changes nothing another one sees."""
        if unit is Unit.FETCH:
            return Fetch, {"offset": self._pick(0, 100), "beats": 0}
        if unit is Unit.MATRIX:
            return Dot, {"format": Format.W4, "rows": 1, "source": 0, "inner": 1, "blocks": 0, "scale": 0, "address": 0}
        if unit is Unit.VECTOR:
            return Quant, {"rows": 1, "source": 0, "stride": 0, "length": 1, "destination": self.segments, "scale": self.scales}
        return Load, {"space": Space.PARAMETER, "address": self.parameters, "beats": 1, "offset": 0}

    def _memories(self) -> None:
        """Lay out side and port memories and load the parameter and the residual memory."""
        fixed = np.zeros((self.parameters, self.lanes), np.int64)
        fixed[: self.constants] = self.rng.integers(-(1 << 18), 1 << 18, (self.constants, self.lanes))
        rotation = self.rng.integers(-(1 << 14), (1 << 14) + 1, (2, self.parameters - self.constants, self.lanes)) & 0xFFFF
        fixed[self.constants :] = rotation[0] | rotation[1] << 16
        fixed[self.constants, 0] = self._pick(1, 1 << 20)
        fixed[self.constants, 1] = int(scale_bytes(self.rng, 1, -26, -18).view("<u4")[0, 0]) | 0x8000
        residual = self.rng.integers(-(1 << 21), 1 << 21, (self.residual, self.lanes))
        for unit, space, content, count in (
            (0, Space.PARAMETER, fixed, self.parameters),
            (512, Space.RESIDUAL, residual, self.residual),
        ):
            image = content.astype(np.int32).view(np.uint8).reshape(-1)
            self.side[16 * unit : 16 * unit + len(image)] = image
            memory = "P" if space == Space.PARAMETER else "X"
            self._emit(
                Load,
                [Use(memory, 0, count, True), *self._residual_ports(memory, written=True)],
                space=space,
                address=0,
                beats=count * self.lanes // 4,
                offset=unit,
            )
        pairs = max(1, min(8, 16 // self.slices))
        pairs = max(1, min(pairs, self.side_words * self.lanes // (2 * self.slices)))
        self.pairs = pairs
        self.slots = KEY_HEADER_BLOCKS * pairs * self.slices
        self.key_beats, self.value_beats = self._key_run(pairs * KEY_HEADER_BLOCKS), self.slots * self.held // self.slices
        keys = np.concatenate([cache_pair(self.rng, self.cache, self.held, self.slices) for _ in range(pairs)], axis=1)
        self.keys = self._place(keys)
        self.values = self._place(self.rng.integers(0, 256, (self.slices, self.value_beats, 16), dtype=np.uint8))

    def _key_run(self, blocks: int) -> int:
        """Return the beats of row blocks of keys, headers included."""
        return self.cache.keys.sizes.stream_words(blocks, LANES_PER_SLICE * self.parts)

    @staticmethod
    def _residual_ports(memory: str, *, read: bool = False, written: bool = False) -> list[Use]:
        """Return the shared ports of the residual memory that an access holds."""
        if memory != "X":
            return []
        return [Use(port, 0, 1, True) for port, used in (("X read port", read), ("X write port", written)) if used]

    def _place(self, words: np.ndarray) -> int:
        """Put slice streams into the port memories and return the first beat, aligned to nothing."""
        offset = self.next_beat + self._pick(0, 5)
        data = port_bytes_of(self.config, words)
        start = offset * self.config.tile.port_bytes
        self.ports[:, start : start + data.shape[1]] = data
        self.next_beat = offset + words.shape[1]
        return offset

    def _room(self) -> int:
        return self.beat_limit - self.next_beat - 64
