"""`lamforge demo`: the whole path on a real model."""

from pathlib import Path
from typing import Annotated

from typer import Option

from lamforge.cli.console import Answer, Terminal, answer

__all__ = ["demo"]


def demo(output: Annotated[Path, Option("--output", "-o", help="Folder to write into.")] = Path("build/demo")) -> Answer:
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
    return answer(summary, lambda found: f"Report: {found.page}", demo_document, is_right=summary.is_equal)
