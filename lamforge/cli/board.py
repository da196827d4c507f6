"""`lamforge board`: runs a decode step on a board through XRT and compares every bit."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, emit, status
from lamforge.cli.errors import BUG
from lamforge.cli.options import EngineOption, ModelArgument, SettingsOption

__all__ = ["board"]


def board(
    model: ModelArgument,
    xclbin: Annotated[Path, typer.Argument(metavar="XCLBIN", help="The linked kernel.", show_default=False)],
    engine: EngineOption = "u280",
    index: Annotated[int, typer.Option("--device", help="Number of the board.")] = 0,
    waiting: Annotated[str, typer.Option(help="How the end of a run is noticed: polling or interrupt.")] = "polling",
    prompt: Annotated[str, typer.Option(help="Text before the decode step, under the chat template.")] = (
        "What is the capital of France?"
    ),
    is_raw: Annotated[bool, typer.Option("--raw", help="Take the prompt itself, without the chat template.")] = False,
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
    from lamforge.flow.board import board_command
    from reports.text.tables import board_text

    document = board_command(
        model,
        xclbin,
        engine=engine,
        settings=settings or (),
        index=index,
        waiting=waiting,
        prompt=prompt,
        is_raw=is_raw,
        progress=status,
    )
    emit(board_text(document), document, as_json=as_json, output=output)
    if not document["is_equal"]:
        raise typer.Exit(BUG)
