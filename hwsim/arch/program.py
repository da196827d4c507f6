"""The Program: instruction words with the names they came from, where its data lies, and the digests it was made for."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from hwsim.arch.config import MOST_PROGRAM_WORDS, MOST_TOKEN_ROWS, EngineConfig
from hwsim.arch.formats.cache import HEAD_DIMS
from hwsim.arch.image import MemoryImage
from hwsim.arch.isa import REGISTER_BITS, SIDE_UNIT, Load, decode, isa_digest
from hwsim.arch.timing import SIDE_BURST_BEATS
from hwsim.errors import IsaError, ProgramError, shown
from hwsim.plain import Refused, from_json, read_text
from hwsim.reader import Limits, Matching, read
from hwsim.whole_files import write_text

__all__ = ["INSTRUCTION_BYTES", "MOST_SIDE_BYTES", "SLOT_BITS", "Buffer", "MemoryImage", "Program"]

INSTRUCTION_BYTES = 16
SLOT_BITS = 16
"""Bits of the slot argument that hold the cache slot; the sequence lies above them."""
MOST_SIDE_BYTES = (Load.field("offset").limits[1] + 1) * SIDE_UNIT
"""Bytes of the side memory, at most: what an instruction that loads from it can name."""
_ROTATION_BYTES = 4
"""Of an element of a head at a position, in the buffer `rotation`."""
_BURST_BYTES = SIDE_BURST_BEATS * SIDE_UNIT
_MAGIC = "lamforge program 1"
_LINE = re.compile(r"([0-9a-fA-F]{32}) (.*)")
_DIGEST = Matching(r"[0-9a-f]*", "hexadecimal digits")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Buffer:
    """A named range of the side memory, in bytes; it starts with a burst of the side port."""

    name: str
    offset: Annotated[int, Limits(0, MOST_SIDE_BYTES - _BURST_BYTES, multiple=_BURST_BYTES)]
    size: Annotated[int, Limits(SIDE_UNIT, MOST_SIDE_BYTES, multiple=SIDE_UNIT)]

    def __post_init__(self) -> None:
        if self.end > MOST_SIDE_BYTES:
            raise ProgramError(
                f"Buffer {shown(self.name)} must end within the {MOST_SIDE_BYTES} bytes of a side memory, not at {self.end}"
            )

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size


class _Made:
    """Mark of what was made of the lines of a file before its fields are read."""

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """One run of the engine: `rows` tokens from `position` on, at any position, of one sequence or one each of several.

    Attributes:
        name: such as `decode`.
        words: 128-bit instruction words.
        symbols: for each word the graph node it came from; `{}` stands for the iteration of the loop around it.
        buffers: named ranges of the side memory that lie apart: `program.decode` and `program.prefill`, `input` with a row
            for each token, `output`, `rotation` with a row for each position, and others.
        rows: tokens of one run.
        sequences: sequences they belong to: one, or one for each row, all at the same position.
        caches: sequences that have a cache; a program for one sequence runs on any of them.
        input_row_bytes: bytes from one token's residual row to the next in the `input` buffer.
        sinks, window: the pattern; the driver derives the cache slot of a position from them.
        ring_start: first slot of the ring.
        max_position: positions below this can be run.
        isa, engine, weights: digests, hexadecimal.
    """

    name: str
    words: Annotated[tuple[int, ...], _Made()]
    symbols: Annotated[tuple[str, ...], _Made()]
    buffers: Annotated[tuple[Buffer, ...], _Made()]
    rows: Annotated[int, Limits(1, MOST_TOKEN_ROWS)]
    sequences: Annotated[int, Limits(1, MOST_TOKEN_ROWS)]
    caches: Annotated[int, Limits(1, 1 << (REGISTER_BITS - SLOT_BITS))]
    input_row_bytes: Annotated[int, Limits(SIDE_UNIT, MOST_SIDE_BYTES, multiple=SIDE_UNIT)]
    sinks: Annotated[int, Limits(0, 1 << SLOT_BITS)]
    window: Annotated[int, Limits(1, 1 << SLOT_BITS)]
    ring_start: Annotated[int, Limits(0, 1 << SLOT_BITS)]
    max_position: Annotated[int, Limits(1, 1 << REGISTER_BITS)]
    isa: Annotated[str, _DIGEST]
    engine: Annotated[str, _DIGEST]
    weights: Annotated[str, _DIGEST]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.symbols):
            raise ProgramError(f"Program must have a symbol for each of {len(self.words)} words, not {len(self.symbols)}")
        if len(self.words) > MOST_PROGRAM_WORDS:
            raise ProgramError(f"Program must have at most {MOST_PROGRAM_WORDS} words, not {len(self.words)}")
        if self.sequences > 1 and not self.rows == self.sequences == self.caches:
            raise ProgramError(
                f"Program must have rows of one sequence, or one of each sequence that has a cache,"
                f" not {self.rows} of {self.sequences} with {self.caches} caches"
            )
        if not self.sinks <= self.ring_start <= (1 << SLOT_BITS) - self.window:
            raise ProgramError(
                f"Program must have its ring of {self.window} slots behind its {self.sinks} sinks and below slot {1 << SLOT_BITS},"
                f" not from {self.ring_start} on"
            )
        self._check_buffers()

    def _check_buffers(self) -> None:
        """Raise ProgramError unless the buffers lie apart, and hold the program and its input."""
        places = sorted(self.buffers, key=lambda buffer: buffer.offset)
        for buffer, after in itertools.pairwise(places):
            if buffer.end > after.offset:
                raise ProgramError(
                    f"Program must have buffers that lie apart, not {shown(buffer.name)} up to byte {buffer.end}"
                    f" and {shown(after.name)} from {after.offset} on"
                )
        names = [buffer.name for buffer in places]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ProgramError(f"Program must have one buffer of a name, not {names.count(twice)} called {shown(twice)}")
        needs = {
            f"program.{self.name}": ("instructions", self.size_bytes),
            "input": ("rows", self.rows * self.input_row_bytes),
            "rotation": ("positions", self.max_position * min(HEAD_DIMS) * _ROTATION_BYTES),
        }
        for buffer in places:
            what, need = needs.get(buffer.name, ("", 0))
            if need > buffer.size:
                raise ProgramError(
                    f"Program must have a buffer {shown(buffer.name)} of the {need} bytes that its {what} take or more,"
                    f" not of {buffer.size}"
                )

    @property
    def size_bytes(self) -> int:
        """Bytes of instructions."""
        return len(self.words) * INSTRUCTION_BYTES

    @property
    def side_bytes(self) -> int:
        """Bytes of side memory that hold its buffers."""
        return max((buffer.end for buffer in self.buffers), default=0)

    @property
    def positions(self) -> int:
        """Positions of one run: tokens of each sequence."""
        return self.rows // self.sequences

    @property
    def steady_position(self) -> int:
        """Position of the first run that has a full window before it, or of the last run that fits."""
        return max(0, min(self.sinks + self.window, self.max_position - self.positions))

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the text form."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def buffer(self, name: str) -> Buffer:
        """Return a buffer by name; raise ProgramError."""
        for buffer in self.buffers:
            if buffer.name == name:
                return buffer
        raise ProgramError(f"Buffer must be one of {', '.join(b.name for b in self.buffers)}, not {shown(name)}")

    def slot_of(self, position: int, sequence: int = 0) -> int:
        """Return the slot argument of a position and a sequence; raise ProgramError when the program's memory has no such one."""
        last = 0 if self.sequences > 1 else self.caches - 1
        if not 0 <= sequence <= last:
            raise ProgramError(f"Sequence must be 0 to {last}, not {sequence}")
        if not 0 <= position < self.max_position:
            raise ProgramError(f"Position must be 0 to {self.max_position - 1}, not {position}")
        slot = position if position < self.sinks else self.ring_start + (position - self.sinks) % self.window
        return slot | sequence << SLOT_BITS

    def code(self) -> np.ndarray:
        """Return the words as uint8 [words * 16], as they lie in memory."""
        return np.frombuffer(b"".join(word.to_bytes(16, "little") for word in self.words), np.uint8)

    def check(self, engine: EngineConfig, weights: str | None = None) -> None:
        """Raise ProgramError unless it is for this instruction set, `engine` and, when given, the weights."""
        if self.isa != isa_digest():
            raise ProgramError(f"Program {self.name} must be compiled for instruction set {isa_digest()[:12]}, not {self.isa[:12]}")
        if self.engine != engine.digest:
            raise ProgramError(
                f"Program {self.name} must be compiled for engine {engine.name} {engine.digest[:12]}, not {self.engine[:12]}"
            )
        if self.rows > engine.tile.tokens:
            raise ProgramError(
                f"Program {self.name} must have at most {engine.tile.tokens} rows, as engine {engine.name} has, not {self.rows}"
            )
        residual_bytes = engine.buffer.residual_words * engine.vector.lanes * 4
        if self.input_row_bytes > -(-residual_bytes // _BURST_BYTES) * _BURST_BYTES:
            raise ProgramError(
                f"Program {self.name} must have input rows that fit the {residual_bytes} bytes of the residual memory of engine"
                f" {engine.name}, not of {self.input_row_bytes} bytes"
            )
        # A token has a word of a slice or more, of its key and of its value.
        slots, channel_beats = self.ring_start + self.window, engine.channel_bytes // engine.tile.port_bytes
        if self.caches * 2 * -(-slots // engine.tile.slices) > channel_beats:
            raise ProgramError(
                f"Program {self.name} must have caches that fit the {engine.channel_bytes} bytes behind each port of engine"
                f" {engine.name}, not {self.caches} of {slots} slots"
            )
        if weights is not None and self.weights != weights:
            raise ProgramError(f"Program {self.name} must be compiled for weights {weights[:12]}, not {self.weights[:12]}")
        for index, word in enumerate(self.words):
            try:
                decode(word)
            except IsaError as error:
                raise ProgramError(
                    f"Program {self.name} must hold valid words; word {index} ({self.symbols[index]}): {error}"
                ) from None

    def to_text(self) -> str:
        """Return the file form: a magic line, a line of JSON, then one line for each word."""
        fields = dataclasses.asdict(self)
        words, symbols = fields.pop("words"), fields.pop("symbols")
        lines = [_MAGIC, json.dumps(fields, sort_keys=True)]
        lines += [f"{word:032x} {symbol}" for word, symbol in zip(words, symbols, strict=True)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_text(cls, text: str, source: str = "text") -> Program:
        """Return the program in its file form; raise ProgramError with one sentence."""
        magic, _, rest = text.partition("\n")
        head, _, rest = rest.partition("\n")
        found = [_LINE.fullmatch(line) for line in rest.removesuffix("\n").split("\n")] if rest else []
        lines = [(int(line[1], 16), line[2]) for line in found if line is not None]
        try:
            fields = from_json(head)
        except Refused:
            fields = None
        is_program = magic == _MAGIC and isinstance(fields, dict) and isinstance(fields.get("buffers"), list)
        if not isinstance(fields, dict) or not is_program or len(lines) < len(found) or {"words", "symbols"} & fields.keys():
            raise ProgramError(
                f"Program file must start with {shown(_MAGIC)} and hold its fields and words, not what is in {source}"
            )
        subject = f"Program file {shown(source)}"
        buffers = tuple(read(Buffer, buffer, f"{subject} buffer", ProgramError) for buffer in fields["buffers"])
        words, symbols = zip(*lines, strict=True) if lines else ((), ())
        return read(cls, fields | {"words": words, "symbols": symbols, "buffers": buffers}, subject, ProgramError)

    def save(self, path: Path) -> None:
        """Write the file form, whole or not at all."""
        write_text(path, self.to_text())

    @classmethod
    def load(cls, path: Path) -> Program:
        """Return the program in a file; raise ProgramError."""
        return cls.from_text(read_text("Program", path, str(path), ProgramError), str(path))
