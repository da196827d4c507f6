"""The Program: instruction words with the names they came from, where its data lies, and the digests it was made for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.image import MemoryImage
from hwsim.arch.isa import decode, isa_digest
from hwsim.errors import IsaError, ProgramError, shown
from hwsim.plain import Refused, from_json, read_text
from hwsim.reader import Limits, Matching, read
from hwsim.whole_files import write_text

__all__ = ["INSTRUCTION_BYTES", "SLOT_BITS", "Buffer", "MemoryImage", "Program"]

INSTRUCTION_BYTES = 16
SLOT_BITS = 16
"""Bits of the slot argument that hold the cache slot; the sequence lies above them."""
_MAGIC = "lamforge program 1"
_LINE = re.compile(r"([0-9a-fA-F]{32}) (.*)")
_DIGEST = Matching(r"[0-9a-f]*", "hexadecimal digits")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Buffer:
    """A named range of the side memory, in bytes."""

    name: str
    offset: int
    size: int


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
        buffers: named ranges of the side memory: `program`, `input`, `output` and others.
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
    rows: Annotated[int, Limits(1)]
    sequences: Annotated[int, Limits(1)]
    caches: Annotated[int, Limits(1)]
    input_row_bytes: Annotated[int, Limits(1)]
    sinks: Annotated[int, Limits(0, 1 << SLOT_BITS)]
    window: Annotated[int, Limits(1, 1 << SLOT_BITS)]
    ring_start: Annotated[int, Limits(0, 1 << SLOT_BITS)]
    max_position: Annotated[int, Limits(1, 1 << 32)]
    isa: Annotated[str, _DIGEST]
    engine: Annotated[str, _DIGEST]
    weights: Annotated[str, _DIGEST]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.symbols):
            raise ProgramError(f"Program must have a symbol for each of {len(self.words)} words, not {len(self.symbols)}")
        if self.sequences not in (1, self.rows) or self.caches % self.sequences:
            raise ProgramError(
                f"Program must have rows of one sequence, or one of each sequence that has a cache,"
                f" not {self.rows} of {self.sequences} with {self.caches} caches"
            )
        if not self.sinks <= self.ring_start <= (1 << SLOT_BITS) - self.window:
            raise ProgramError(
                f"Program must have its ring of {self.window} slots behind its {self.sinks} sinks and below slot {1 << SLOT_BITS},"
                f" not from {self.ring_start} on"
            )

    @property
    def size_bytes(self) -> int:
        """Bytes of instructions."""
        return len(self.words) * INSTRUCTION_BYTES

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
        if not 0 <= sequence < self.caches or (sequence and self.sequences > 1):
            raise ProgramError(f"Sequence must be 0 to {self.caches // self.sequences - 1}, not {sequence}")
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
