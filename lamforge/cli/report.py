"""`lamforge report`: writes the HTML report of a folder of results, or the one on offloading."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, emit

__all__ = ["report"]


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR|offload", help="Folder that demo or compile wrote, or offload.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="report.html in DIR, offload.html")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained HTML file of what a folder holds: it opens from disk and needs no network.

    Pictures are drawn anew from the programs in the folder; what the folder does not hold is left out. `offload` compares
    GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    Examples:

        lamforge report build/demo

        lamforge report offload -o offload.html
    """
    if str(folder) == "offload":
        from reports.pages.offload import write_offload_report

        path = Path("offload.html") if output is None else output
        write_offload_report(path)
    else:
        from reports.pages.run import write_report

        path = write_report(folder, output)
    emit(f"Report: {path}", {"report": str(path), "bytes": path.stat().st_size}, as_json=as_json)
