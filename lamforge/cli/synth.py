"""`lamforge synth`: estimates what an engine takes of a board."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.options import BoardOption, EngineOption, SettingsOption, settings_of
from lamforge.cli.terminal import Terminal

__all__ = ["synth"]


def synth(
    engine: EngineOption = "small",
    board: BoardOption = "u280",
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
    from lamforge.flow.synth import SynthRequest, run
    from reports.documents.circuit import synthesis_document
    from reports.text.circuit import synthesis_text

    request = SynthRequest(engine=engine, settings=settings_of(settings), board=board, is_ranked=is_ranked)
    with Terminal() as listener:
        found = run(request, listener)
    show(found, synthesis_text, synthesis_document, as_json=as_json, output=output)
