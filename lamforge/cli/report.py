"""`lamforge report`: writes one HTML file of a folder of results, or of offloading."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from lamforge.cli.console import Answer, Terminal, answer, subcommand

__all__ = ["app", "folder", "offload"]

app = Typer(
    name="report", no_args_is_help=True, help="Write one self-contained HTML file: it opens from disk and needs no network."
)


@subcommand(app)
def folder(
    folder: Annotated[Path, Argument(metavar="DIR", help="Folder that demo or compile wrote.", show_default=False)],
    output: Annotated[Path | None, Option("--output", "-o", help="File to write.", show_default="report.html in DIR")] = None,
) -> Answer:
    """Report on a folder of results.

    Pictures are drawn anew from the programs in the folder; what the folder does not hold is left out.

    Examples:

        lamforge report folder build/demo
    """
    from reports.documents.plain import report_document
    from reports.pages import report

    return answer(report.folder(folder, output), "Report: {}".format, report_document)


@subcommand(app)
def offload(output: Annotated[Path, Option("--output", "-o", help="File to write.")] = Path("offload.html")) -> Answer:
    """Compare GPUs, offloading systems and the FPGA from 4K to 1M tokens, with every published figure below.

    Examples:

        lamforge report offload -o offload.html
    """
    from reports.documents.plain import report_document
    from reports.pages import report

    with Terminal() as listener:
        written = report.offload(output, listener)
    return answer(written, "Report: {}".format, report_document)
