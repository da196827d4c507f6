"""`lamforge report`: writes one HTML file of a folder of results, or of offloading."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, show
from lamforge.cli.terminal import Terminal

__all__ = ["app", "folder", "offload"]

app = typer.Typer(
    name="report", no_args_is_help=True, help="Write one self-contained HTML file: it opens from disk and needs no network."
)


@app.command()
def folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that demo or compile wrote.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.", show_default="report.html in DIR")] = None,
    as_json: JsonOption = False,
) -> None:
    """Report on a folder of results.

    Pictures are drawn anew from the programs in the folder; what the folder does not hold is left out.

    Examples:

        lamforge report folder build/demo
    """
    from reports.documents.plain import report_document
    from reports.pages import report

    show(report.folder(folder, output), "Report: {}".format, report_document, as_json=as_json)


@app.command()
def offload(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("offload.html"),
    as_json: JsonOption = False,
) -> None:
    """Compare GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    Examples:

        lamforge report offload -o offload.html
    """
    from reports.documents.plain import report_document
    from reports.pages import report

    with Terminal() as listener:
        written = report.offload(output, listener)
    show(written, "Report: {}".format, report_document, as_json=as_json)
