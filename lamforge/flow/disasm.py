"""Programs and single instruction words as assembly text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hwsim.arch.assembly import format_instruction, format_program
from hwsim.arch.fields import Instruction
from hwsim.arch.isa import decode
from hwsim.arch.program import Program
from hwsim.errors import IsaError, ProgramError, shown

__all__ = ["Listing", "disasm"]

_WORD_DIGITS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """Words with their instructions, and the graph node that each came from; empty where nothing is known of it."""

    words: tuple[int, ...]
    instructions: tuple[Instruction, ...]
    symbols: tuple[str, ...]

    @property
    def text(self) -> str:
        """The assembly text: a line for each instruction, loops indented, graph nodes as comments."""
        return format_program(self.instructions, self.symbols)

    @property
    def lines(self) -> tuple[str, ...]:
        """Each instruction alone."""
        return tuple(map(format_instruction, self.instructions))


def disasm(source: str | Path | Program | Sequence[str]) -> Listing:
    """Show a program, or single words, as assembly text; docs/isa.md explains the fields.

    source: path of a program file, a program, or a word, or several, of 32 hexadecimal digits each.

    Raises:
        ProgramError: there is no such file, or a word is no instruction.
    """
    words, symbols = _read(source)
    instructions = []
    for index, word in enumerate(words):
        try:
            instructions.append(decode(word))
        except IsaError as error:
            where = f" ({symbols[index]})" if symbols[index] else ""
            raise ProgramError(f"Word {index}{where} must be an instruction: {error}") from None
    return Listing(words=words, instructions=tuple(instructions), symbols=symbols)


def _read(source: str | Path | Program | Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    if isinstance(source, Program):
        return source.words, source.symbols
    sources = [str(source)] if isinstance(source, str | Path) else list(source)
    if len(sources) == 1 and Path(sources[0]).is_file():
        program = Program.load(Path(sources[0]))
        return program.words, program.symbols
    for text in sources:
        digits = text.removeprefix("0x")
        if len(digits) != _WORD_DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise ProgramError(f"Source must be a program file or words of {_WORD_DIGITS} hexadecimal digits, not {shown(text)}")
    return tuple(int(text, 16) for text in sources), ("",) * len(sources)
