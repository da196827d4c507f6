"""`lamforge demo`: the whole path on a real model."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, show
from lamforge.cli.errors import BUG
from lamforge.cli.terminal import Terminal

__all__ = ["demo"]


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("build/demo"),
    as_json: JsonOption = False,
) -> None:
    """Take a real model from its checkpoint to Verilog that computes the same bits in the same cycles.

    The model has 2-bit weights, two of every four kept, trained in this form; a 4-bit one is compressed here to stand
    beside it. Nine steps: load, compress, compile, generate, simulate, write Verilog, co-simulate, the same by the second
    recipe, report. The folder gets model/, program/, verilog/, w4a8kv4/, timeline.json, summary.json and report.html. The
    exit code is 1 when the co-simulation finds any difference.

    Examples:

        lamforge demo -o build/demo
    """
    from reports.documents.demo import demo_document
    from reports.studies.demo import DemoRequest, run

    with Terminal(indent="      ") as listener:
        summary = run(DemoRequest(output), listener)
    show(summary, lambda found: f"Report: {found.page}", demo_document, as_json=as_json)
    if not summary.is_equal:
        raise typer.Exit(BUG)
