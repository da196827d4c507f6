"""The `lamforge` command: the table of its subcommands, and how one is called."""

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from lamforge.cli.board import board
from lamforge.cli.compile import compile
from lamforge.cli.compress import compress
from lamforge.cli.cosim import cosim
from lamforge.cli.demo import demo
from lamforge.cli.disasm import disasm
from lamforge.cli.distill import app as distill
from lamforge.cli.dummy import dummy
from lamforge.cli.errors import exit_code_of
from lamforge.cli.evaluate import evaluate
from lamforge.cli.explore import explore
from lamforge.cli.export import export
from lamforge.cli.generate import generate
from lamforge.cli.gpu import app as gpu
from lamforge.cli.list import list
from lamforge.cli.offload import app as offload
from lamforge.cli.report import app as report
from lamforge.cli.rtl import rtl
from lamforge.cli.simulate import simulate
from lamforge.cli.study import app as study
from lamforge.cli.synth import synth
from lamforge.cli.validate import app as validate

__all__ = ["COMMANDS", "GROUPS", "app", "main"]

COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    list,
    compress,
    dummy,
    evaluate,
    export,
    compile,
    generate,
    simulate,
    rtl,
    cosim,
    synth,
    explore,
    board,
    disasm,
)
"""The subcommands in the order of the flow; each is the one function of the file with its name."""

GROUPS: dict[str, typer.Typer] = {
    "distill": distill,
    "offload": offload,
    "validate": validate,
    "report": report,
    "gpu": gpu,
    "study": study,
}
"""The subcommands that have subcommands of their own, each the application of the file with its name."""

app = typer.Typer(
    name="lamforge",
    help="Compress a language model, lower it to a reconfigurable engine, simulate it cycle by cycle, and prove that"
    " the engine's Verilog computes the same bits in the same cycles.",
    epilog="Every subcommand takes --json. LAMFORGE_FULL_TRACEBACK=1 shows where an error arose.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        sys.stdout.write(f"lamforge {metadata.version('lamforge')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Take the options that stand before the subcommand."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the process's arguments, or those given, and exit with its code."""
    given = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    sys.exit(exit_code_of(lambda: app(given, prog_name="lamforge", standalone_mode=False)))
