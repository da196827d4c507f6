"""The state of a random program in the making: memories with plausible content, register values, and places of results."""

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.fields import Instruction, Unit
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, CacheFormat, CacheKind, Dot, Fetch, Format, Load, Quant, Space
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from hwsim.errors import ScheduleError
from testbenches.random_order import Order, Use
from testbenches.random_streams import cache_pair, port_bytes_of, scale_bytes

__all__ = ["HEADS", "OPERAND_REGISTERS", "SIDE_UNITS", "STORE_UNIT", "ProgramState"]

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

    # Memories

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
