"""The cases of the fault campaign: what can go wrong, drawn from a seed, and what the engine must then show."""

import dataclasses
import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.arch.fields import CHECK_VALUE, HEADER, WORD_BITS, Unit
from hwsim.arch.isa import INSTRUCTIONS, End, Fetch, Loop, decode
from hwsim.arch.program import MemoryImage
from hwsim.arch.registers import ErrorCode

__all__ = ["CASE_KINDS", "FaultCase", "FaultKind", "FaultProgram", "fault_case"]

SLAVE_ERROR, DECODE_ERROR = 2, 3
_LOOP_DEPTH = 4
_TOKEN_LIMIT = 63
_READ_CHANNELS, _WRITE_CHANNELS = 2, 5


class FaultKind(enum.StrEnum):
    """The fault that is injected into the first run of a case."""

    NONE = "none"
    READ_ERROR = "read_error"
    """A beat of a stream, of a load or of the program answers SLVERR or DECERR."""
    WRITE_ERROR = "write_error"
    BAD_CHECK = "bad_check"
    """One bit of an instruction word is flipped."""
    BAD_OPCODE = "bad_opcode"
    FLIPS = "flips"
    """Two bits of a word are flipped so that its check byte stays right."""
    DEEP_LOOP = "deep_loop"
    OVERFLOW = "overflow"
    """A program that gives more tokens than a counter holds."""
    LOST_TOKEN = "lost_token"
    """An instruction waits for a token that nobody gives."""
    DEAD_BUS = "dead_bus"
    """A channel stops for good after some transfers; the bus comes back after the run, or is reset."""
    RESET = "reset"
    """The engine and its memories are reset at any cycle."""
    START_TWICE = "start_twice"
    RANDOM_READY = "random_ready"
    """Every channel is held in a pattern of its own."""
    SLOW_HOST = "slow_host"
    """The host pauses on every AXI-Lite channel, and reads registers during the run."""


CASE_KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.NONE)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FaultProgram:
    """A program that can run again and again, whatever the on-chip memories hold.

    Attributes:
        words: instruction words; they lie at byte `offset` of the side memory.
        position, slot: its argument registers.
        before, after: memory before a run, program included, and as the simulator leaves it.
        reads, writes: beats that a run reads on each port, and its write responses.
        cycles, stalled: length of a run with ideal memory, and by seed with stalling memory.
    """

    words: tuple[int, ...]
    offset: int
    position: int
    slot: int
    before: MemoryImage
    after: MemoryImage
    cycles: int
    stalled: dict[int, int]
    reads: tuple[int, ...] = ()
    writes: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaultCase:
    """One case; `fault_case(programs, seed, kind)` makes it again.

    Attributes:
        seed: seed that the case is drawn from.
        kind: the fault.
        program, next_program: numbers of the first and the second run's programs.
        stalls, next_stalls: seeds of their stalling memories; None for ideal memory.
        rate: number of cycles, of 256, in which each channel is held during the first run.
        is_slow_host: whether the host pauses.
        port, channel, index, response: where the buses go wrong, and with which response.
        words: the words that replace the first program; None for its own.
        at, cycles: cycle of a reset, and the length of a reset or of a wait.
        waits: pauses before each further start.
        recovery: how a dead bus comes back: `free` before the next start, `late` after it, or by `reset`.
        error: the error register after the first run; None where any code may stand, or none.
    """

    seed: int
    kind: FaultKind
    program: int
    next_program: int
    stalls: int | None
    next_stalls: int | None
    rate: int = 0
    is_slow_host: bool = False
    port: int | None = None
    channel: int = 0
    index: int = 0
    response: int = 0
    words: tuple[int, ...] | None = None
    at: int = 1
    cycles: int = 4
    waits: tuple[int, ...] = ()
    recovery: str = "free"
    error: int | None = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the case as the bench reads it."""
        values = dataclasses.asdict(self)
        values["words"] = None if self.words is None else [f"{word:x}" for word in self.words]
        return {name: value for name, value in values.items() if value is not None or name in ("stalls", "next_stalls")}


def _checked(word: int) -> int:
    """Return the word with a right check byte."""
    low = word & (1 << HEADER["check"][0]) - 1
    check = CHECK_VALUE
    for byte in low.to_bytes(WORD_BITS // 8, "little"):
        check ^= byte
    return low | check << HEADER["check"][0]


class _Drawn:
    """Draws the fields of one case."""

    def __init__(self, programs: Sequence[FaultProgram], seed: int, kind: FaultKind):
        self.rng = np.random.default_rng([seed, CASE_KINDS.index(kind)])
        self.programs, self.seed, self.kind = programs, seed, kind
        self.number = self.below(len(programs))
        self.program = programs[self.number]

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1."""
        return int(self.rng.integers(limit))

    def stalls(self, program: int) -> int | None:
        """Return the seed of a stalling memory for which the program's length is known, or None."""
        seeds = sorted(self.programs[program].stalled)
        return None if self.below(2) else seeds[self.below(len(seeds))]

    def case(self) -> FaultCase:
        """Return the case."""
        following = self.below(len(self.programs))
        fields = getattr(self, f"_{self.kind.value}")()
        rate = 0 if self.kind is FaultKind.START_TWICE else (0, 0, 40, 120)[self.below(4)]
        return FaultCase(
            **{
                "seed": self.seed,
                "kind": self.kind,
                "program": self.number,
                "next_program": following,
                "stalls": self.stalls(self.number),
                "next_stalls": self.stalls(following),
                "rate": rate,
                "is_slow_host": self.below(4) == 0,
                **fields,
            }
        )

    def _read_error(self) -> dict[str, Any]:
        port = self.below(len(self.program.reads))
        index = self.below(self.program.reads[port])
        if port == len(self.program.reads) - 1 and self.below(2):
            index = self.below(len(self.program.words))
        return {"port": port, "index": index, "response": self._response(), "error": ErrorCode.READ_RESPONSE | port << 8}

    def _write_error(self) -> dict[str, Any]:
        index, response = self.below(self.program.writes), self._response()
        return {"port": len(self.program.reads) - 1, "index": index, "response": response, "error": ErrorCode.WRITE_RESPONSE}

    def _response(self) -> int:
        return (SLAVE_ERROR, DECODE_ERROR)[self.below(2)]

    def _replaced(self, index: int, word: int) -> tuple[int, ...]:
        words = self.program.words
        return (*words[:index], word, *words[index + 1 :])

    def _bad_check(self) -> dict[str, Any]:
        index = self.below(len(self.program.words))
        word = self.program.words[index] ^ 1 << self.below(WORD_BITS)
        return {"words": self._replaced(index, word), "error": ErrorCode.BAD_CHECK | index << 8}

    def _bad_opcode(self) -> dict[str, Any]:
        index = self.below(len(self.program.words))
        offset, width = HEADER["opcode"]
        unknown = sorted(set(range(1 << width)) - {kind.opcode for kind in INSTRUCTIONS})
        opcode = unknown[self.below(len(unknown))]
        word = self.program.words[index] & ~((1 << width) - 1 << offset) | opcode << offset
        return {"words": self._replaced(index, _checked(word)), "error": ErrorCode.BAD_OPCODE | index << 8}

    def _flips(self) -> dict[str, Any]:
        # A flipped loop count would be no fault that the engine can see, only a program that runs for minutes.
        may = [index for index, word in enumerate(self.program.words) if not isinstance(decode(word), Loop)]
        index = may[self.below(len(may))]
        bit, first = self.below(8), self.below(16)
        second = (first + 1 + self.below(15)) % 16
        word = self.program.words[index] ^ 1 << 8 * first + bit ^ 1 << 8 * second + bit
        opcode = word >> HEADER["opcode"][0] & (1 << HEADER["opcode"][1]) - 1
        if opcode == Loop.opcode:
            word = self.program.words[index] ^ 1 << 8 * 14 + bit ^ 1 << 8 * 15 + bit
        return {"words": self._replaced(index, word), "error": None}

    def _deep_loop(self) -> dict[str, Any]:
        depth = _LOOP_DEPTH + 1 + self.below(4)
        lead = self.below(6)
        quiet = Fetch(offset=self.below(100), beats=0).encode()
        loops = [Loop(count=2, length=2 * depth).encode()] * depth
        words = (*[quiet] * lead, *loops, End().encode())
        return {"words": words, "error": ErrorCode.DEEP_LOOP | lead + _LOOP_DEPTH << 8}

    def _overflow(self) -> dict[str, Any]:
        consumer = (Unit.MATRIX, Unit.VECTOR, Unit.MOVER)[self.below(3)]
        gives = Fetch(offset=0, beats=0, signal=1 << consumer).encode()
        words = (Loop(count=_TOKEN_LIMIT + 1 + self.below(40), length=1).encode(), gives, End().encode())
        return {"words": words, "error": ErrorCode.TOKEN_OVERFLOW | (Unit.FETCH * len(Unit) + consumer) << 8}

    def _lost_token(self) -> dict[str, Any]:
        decoded = [decode(word) for word in self.program.words]
        given = Counter((word.unit, unit) for word in decoded for unit in Unit if word.unit is not None and word.signal >> unit & 1)
        places = [
            (index, producer)
            for index, word in enumerate(decoded)
            for producer in Unit
            if word.unit is not None and producer != word.unit and not given[producer, word.unit]
        ]
        index, producer = places[self.below(len(places))]
        word: Any = decoded[index]
        stuck = dataclasses.replace(word, wait=word.wait | 1 << producer).encode()
        return {"words": self._replaced(index, stuck), "error": ErrorCode.WATCHDOG}

    def _dead_bus(self) -> dict[str, Any]:
        side = len(self.program.reads) - 1
        port = self.below(len(self.program.reads))
        channel = self.below(_WRITE_CHANNELS if port == side else _READ_CHANNELS)
        transfers = self.program.reads[port] if channel < _READ_CHANNELS else self.program.writes
        # A burst has up to 64 beats: what is left after the index is at least one more transfer of any channel.
        index = self.below(transfers if channel else max(1, transfers // 64))
        recovery = ("free", "late", "reset")[self.below(3)]
        fields: dict[str, Any] = {
            "port": port,
            "channel": channel,
            "index": index,
            "recovery": recovery,
            "cycles": 20 + self.below(200),
            "error": ErrorCode.WATCHDOG,
            "rate": 0,
        }
        # A late write may still arrive; it then goes into memory that holds the same program's data.
        return fields | ({"next_program": self.number} if recovery == "late" else {})

    def _reset(self) -> dict[str, Any]:
        return {"at": 1 + self.below(self.program.cycles), "cycles": 1 + self.below(12)}

    def _start_twice(self) -> dict[str, Any]:
        count = 1 + self.below(3)
        longest = max(2, (self.program.cycles - 200) // count - 40)
        return {"waits": tuple(1 + self.below(longest) for _ in range(count)), "is_slow_host": False}

    def _random_ready(self) -> dict[str, Any]:
        return {"rate": 1 + self.below(200)}

    def _slow_host(self) -> dict[str, Any]:
        return {"is_slow_host": True, "rate": 0}


def fault_case(programs: Sequence[FaultProgram], seed: int, kind: FaultKind) -> FaultCase:
    """Return the case of a kind that a seed draws; equal arguments give equal cases."""
    return _Drawn(programs, seed, kind).case()
