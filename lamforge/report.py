"""`lamforge report`: writes the HTML report of a folder of results."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.console import JsonOption, emit

__all__ = ["report"]


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that demo or compile wrote.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="DIR/report.html")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained HTML file of what a folder holds: it opens from disk and needs no network.

    Pictures are drawn anew from the programs in the folder; what the folder does not hold is left out.

    Example:

        lamforge report build/demo
    """
    from reports.html import write_report

    path = write_report(folder, output)
    emit(f"Report: {path}", {"report": str(path), "bytes": path.stat().st_size}, as_json=as_json)
