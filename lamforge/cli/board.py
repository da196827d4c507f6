"""`lamforge board`: runs a decode step on a board through XRT and compares every bit."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.errors import BUG
from lamforge.cli.options import EngineOption, ModelArgument, QuestionOption, RawOption, SettingsOption, settings_of
from lamforge.cli.terminal import Terminal

__all__ = ["board"]


def board(
    model: ModelArgument,
    xclbin: Annotated[Path, typer.Argument(metavar="XCLBIN", help="The linked kernel.", show_default=False)],
    engine: EngineOption = "u280",
    index: Annotated[int, typer.Option(help="Number of the board in this machine.")] = 0,
    waiting: Annotated[str, typer.Option(help="How the end of a run is noticed: polling or interrupt.")] = "polling",
    question: QuestionOption = "What is the capital of France?",
    is_raw: RawOption = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run one whole decode step of a model on a board, and compare it with the simulator and the PyTorch reference.

    Needs XRT with pyxrt (source its setup.sh), and the library of `make host` beside the xclbin; both come from the
    kernel package that `lamforge rtl` writes. Any difference is named, and the exit code is then 1.

    Examples:

        lamforge board build/model build/verilog/vitis/build/lamforge.hw.xclbin --engine u280

        lamforge board build/model lamforge.hw.xclbin --waiting interrupt --json
    """
    from lamforge.flow.board import BoardRequest, run
    from reports.documents.circuit import board_document
    from reports.text.circuit import board_text

    request = BoardRequest(
        model, xclbin, engine=engine, settings=settings_of(settings), index=index, waiting=waiting, question=question, is_raw=is_raw
    )
    with Terminal() as listener:
        verdict = run(request, listener)
    show(verdict, board_text, board_document, as_json=as_json, output=output)
    if not verdict.is_equal:
        raise typer.Exit(BUG)
