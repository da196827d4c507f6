"""`lamforge synth`: estimates what an engine takes of a board."""

from typing import Annotated

import typer

from lamforge.bars import bar
from lamforge.console import JsonOption, OutputOption, emit
from lamforge.options import EngineOption, SettingsOption

__all__ = ["synth"]


def synth(
    engine: EngineOption = "small",
    board: Annotated[
        str, typer.Option("--board", metavar="NAME|FILE", help="Shipped board (u280, u55c) or a YAML file.")
    ] = "u280",
    is_ranked: Annotated[
        bool, typer.Option("--fmax", help="Also route one slice on an ECP5: ranks engines, says nothing of the board.")
    ] = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Estimate the look-up tables, flip-flops, memories and DSPs of an engine, against a board and its SLRs.

    Yosys synthesizes each module once and keeps its counts under build/synthesis, so that a second run does not need it.
    With --fmax a slice is placed and routed too, which takes minutes the first time.

    Examples:

        lamforge synth --engine u280

        lamforge synth --engine small --set tile.tokens=2 --fmax --json -o build/small.json
    """
    from hwsim.arch.board import load_board
    from reports.engines import chosen_engine
    from reports.synthesis import synthesis_document, synthesis_text

    chosen, target = chosen_engine(engine, settings or ()), load_board(board)
    with bar("synthesize") as done:
        document = synthesis_document(chosen, target, is_ranked=is_ranked, progress=done)
    emit(synthesis_text(document), document, as_json=as_json, output=output)
