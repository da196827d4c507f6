"""The table of the subcommands, and how one is called."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer
from typer import Option

from lamforge.cli.console import subcommand

__all__ = ["COMMANDS", "GROUPS", "app", "run"]

COMMANDS = (
    *("demo", "list", "compress", "dummy", "evaluate", "export", "compile", "generate"),
    *("simulate", "rtl", "cosim", "synth", "explore", "compare", "board", "doctor", "disasm"),
)
"""The subcommands in the order of the flow; each is the one function of the file with its name."""

GROUPS = ("distill", "offload", "validate", "report", "gpu", "study")
"""The subcommands that have subcommands of their own, each the application `app` of the file with its name."""

app = typer.Typer(
    name="lamforge",
    help="Compress a language model, lower it to a reconfigurable engine, simulate it cycle by cycle, and prove that"
    " the engine's Verilog computes the same bits in the same cycles.",
    epilog="Every subcommand takes --json. LAMFORGE_FULL_TRACEBACK=1 shows where an error arose.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for name in COMMANDS:
    subcommand(app)(getattr(importlib.import_module(f"lamforge.cli.{name}"), name))
for name in GROUPS:
    app.add_typer(importlib.import_module(f"lamforge.cli.{name}").app, name=name)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        sys.stdout.write(f"lamforge {metadata.version('lamforge')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Take the options that stand before the subcommand."""


def run(arguments: Sequence[str]) -> object:
    """Run the command with arguments and return its exit code; exceptions come as they are."""
    if "_LAMFORGE_COMPLETE" in os.environ:
        return app(arguments, prog_name="lamforge", standalone_mode=False)
    # What Typer itself does, but for the exceptions that it replaces, some without a word.
    command = typer.main.get_command(app)
    with command.make_context("lamforge", [*arguments]) as context:
        return command.invoke(context)
