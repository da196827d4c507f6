"""`lamforge disasm`: shows a program, or single instruction words, as assembly text."""

from typing import Annotated

from typer import Argument

from lamforge.cli.console import Answer, answer

__all__ = ["disasm"]


def disasm(
    sources: Annotated[list[str], Argument(metavar="PROGRAM|WORD...", help="A program file, or words of 32 hexadecimal digits.")],
) -> Answer:
    """Show a program as assembly text.

    One line for each instruction, loops indented, with the graph node it came from as a comment. The fields are
    explained in docs/isa.md, what the units do with them in docs/engine.md.

    Examples:

        lamforge disasm build/demo/program/decode.program

        lamforge disasm 0xb7000000000000000000000000000012
    """
    from lamforge.flow.disasm import disasm as disassembled
    from reports.documents.programs import listing_document

    return answer(disassembled(sources), lambda listing: listing.text, listing_document)
