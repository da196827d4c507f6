"""Options and arguments that several subcommands share, and how a shell completes the names that they take."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

__all__ = [
    "Cache",
    "Context",
    "Engine",
    "Folder",
    "Layers",
    "Memory",
    "Model",
    "Positions",
    "Question",
    "Raw",
    "Settings",
    "Tokenizer",
    "Workload",
    "names_of",
]


def names_of(kind: str) -> Callable[[str], list[tuple[str, str]]]:
    """Return what completes the beginning of a name of a kind, such as `engines`, with a line of help for each."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from lamforge.flow.list import list as listed

        return [(entry.name, entry.title) for entry in listed(kind).entries if entry.name.startswith(incomplete)]

    return complete


Model = Annotated[str, Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)]
Workload = Annotated[
    str | None,
    Option(
        metavar="NAME|FILE",
        help="A well-known network without weights, such as llama-2-7b, a config.json, or the folder of a checkpoint.",
        autocompletion=names_of("networks"),
    ),
]
Engine = Annotated[
    str,
    Option(
        metavar="NAME|FILE", help="Shipped engine (`lamforge list engines`) or a YAML file.", autocompletion=names_of("engines")
    ),
]
Settings = Annotated[
    list[str] | None, Option("--set", metavar="PATH=VALUE", help="Change a value of the engine, such as tile.tokens=2.")
]
Context = Annotated[int | None, Option(metavar="TOKENS", help="Tokens that the cache of a workload keeps: sinks and window.")]
Positions = Annotated[int | None, Option(help="Positions of a model that can be run.", show_default="those it was made for")]
Layers = Annotated[str, Option("--format", help="Weight format of a workload's layers.", autocompletion=names_of("formats"))]
Cache = Annotated[str, Option(help="Format of a workload's keys and values: kv4 or kv8.")]
Memory = Annotated[str, Option(metavar="MODEL", help="Memory model: ideal, stalling or hbm2, the last two also with :SEED.")]
Folder = Annotated[Path, Option("--output", "-o", help="Folder to write into.", show_default=False)]
Question = Annotated[str, Option(metavar="TEXT", help="Text before the decode step.")]
Tokenizer = Annotated[
    Path | None,
    Option(
        metavar="FOLDER",
        help="Folder with the tokenizer of a checkpoint, such as of a GGUF file that brings none.",
        show_default="its own",
    ),
]
Raw = Annotated[bool, Option("--raw", help="Take the text as it is, without the chat template.")]
