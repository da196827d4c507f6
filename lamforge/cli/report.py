"""`lamforge report`: writes one HTML file of a folder of results, or of offloading."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer
from typer.core import TyperGroup

from lamforge.cli import options
from lamforge.cli.console import Answer, Terminal, answer, subcommand

__all__ = ["app", "folder", "offload"]


class _Group(TyperGroup):
    """Takes what is none of its subcommands as the folder of `folder`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        is_folder = not args[0].startswith("-") and args[0] not in self.commands
        return super().resolve_command(ctx, ["folder", *args] if is_folder else args)


app = Typer(
    name="report",
    cls=_Group,
    no_args_is_help=True,
    help="Write one self-contained HTML file: it opens from disk and needs no network. `lamforge report OUT` is `lamforge report"
    " folder OUT`.",
)


@subcommand(app)
def folder(
    folder: Annotated[Path, Argument(metavar="DIR", help="Folder that explore, demo, compile or rtl wrote.", show_default=False)],
    output: Annotated[Path | None, Option("--output", "-o", help="File to write.", show_default="report.html in DIR")] = None,
    memory: options.Memory | None = None,
) -> Answer:
    """Report on a folder of results.

    Of a study: the answer, the front, what binds its designs and what the next steps bring. Of programs, pictures are drawn anew.
    Of an engine: what it takes of its board, by part and SLR, the wires between SLRs, its power, and the floorplan.
    What the folder does not hold is left out. With --memory its programs are simulated anew under that memory model.

    Examples:

        lamforge report build/u280

        lamforge report build/program --memory hbm2

        lamforge report folder build/demo
    """
    from reports.documents.plain import report_document
    from reports.pages import report

    with Terminal() as listener:
        written = report.folder(folder, output, memory=memory, listener=listener)
    return answer(written, "Report: {}".format, report_document)


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
