"""`lamforge disasm`: shows a program, or single instruction words, as assembly text."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.arch.assembly import format_instruction, format_program
from hwsim.arch.isa import decode
from hwsim.arch.program import Program
from hwsim.errors import IsaError, ProgramError, shown
from lamforge.console import JsonOption, OutputOption, emit

__all__ = ["disasm"]

_WORD_DIGITS = 32


def disasm(
    sources: Annotated[
        list[str], typer.Argument(metavar="PROGRAM|WORD...", help="A program file, or words of 32 hexadecimal digits.")
    ],
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show a program as assembly text.

    One line for each instruction, loops indented, with the graph node it came from as a comment. The fields are
    explained in docs/isa.md, what the units do with them in docs/engine.md.

    Examples:

        lamforge disasm build/demo/program/decode.prog

        lamforge disasm 0xb7000000000000000000000000000012
    """
    words, symbols = _read(sources)
    instructions = []
    for index, word in enumerate(words):
        try:
            instructions.append(decode(word))
        except IsaError as error:
            where = f" ({symbols[index]})" if symbols[index] else ""
            raise ProgramError(f"Word {index}{where} must be an instruction: {error}") from None
    lines = [
        {"index": index, "word": f"{word:032x}", "text": format_instruction(instruction), "symbol": symbol}
        for index, (word, instruction, symbol) in enumerate(zip(words, instructions, symbols, strict=True))
    ]
    emit(format_program(instructions, symbols), {"instructions": lines}, as_json=as_json, output=output)


def _read(sources: list[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the words and the symbols of the one program file, or of the words given."""
    if len(sources) == 1 and Path(sources[0]).is_file():
        program = Program.load(Path(sources[0]))
        return program.words, program.symbols
    for source in sources:
        digits = source.removeprefix("0x")
        if len(digits) != _WORD_DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise ProgramError(
                f"Source must be a program file or words of {_WORD_DIGITS} hexadecimal digits, not {shown(source)}"
            )
    return tuple(int(source, 16) for source in sources), ("",) * len(sources)
