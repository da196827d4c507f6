"""`lamforge board`: runs a decode step on a board through XRT and compares every bit."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard

__all__ = ["board"]


def board(
    model: options.Model,
    xclbin: Annotated[Path, Argument(metavar="XCLBIN", help="The linked kernel.", show_default=False)],
    engine: options.Engine = "u280",
    index: Annotated[int, Option(help="Number of the board in this machine.")] = 0,
    waiting: Annotated[str, Option(help="How the end of a run is noticed: polling or interrupt.")] = "polling",
    question: options.Question = "What is the capital of France?",
    is_raw: options.Raw = False,
    settings: options.Settings = None,
) -> Answer:
    """Run one whole decode step of a model on a board, and compare it with the simulator and the PyTorch reference.

    Needs XRT with pyxrt (source its setup.sh), and the library of `make host` beside the xclbin; both come from the
    kernel package that `lamforge rtl` writes. Any difference is named, and the exit code is then 1.

    Examples:

        lamforge board build/model build/verilog/vitis/build/lamforge.hw.xclbin --engine u280

        lamforge board build/model lamforge.hw.xclbin --waiting interrupt --json
    """
    from lamforge.flow.board import BoardRequest, run
    from reports.documents.verdict import board_document
    from reports.text.verdict import board_text

    request = BoardRequest(
        model,
        xclbin,
        engine=engine,
        settings=set_values(settings or ()),
        index=index,
        waiting=waiting,
        question=question,
        is_raw=is_raw,
    )
    verdict = heard(run, request)
    return answer(verdict, board_text, board_document, is_right=verdict.is_equal)
