"""Options and arguments that several subcommands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamforge.cli.completion import names_of

if TYPE_CHECKING:
    from hwsim.plain import Settings

__all__ = [
    "BoardOption",
    "CacheOption",
    "ContextOption",
    "EngineOption",
    "FolderOption",
    "LayersOption",
    "MemoryOption",
    "ModelArgument",
    "PositionsOption",
    "QuestionOption",
    "RawOption",
    "SettingsOption",
    "WorkloadOption",
    "settings_of",
]

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)]
"""`model: ModelArgument`."""
WorkloadOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A well-known network without weights, such as llama-2-7b, a config.json, or the folder of a checkpoint.",
        autocompletion=names_of("networks"),
    ),
]
"""`workload: WorkloadOption = None`."""
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME|FILE",
        help="Shipped engine (`lamforge list engines`) or a YAML file.",
        autocompletion=names_of("engines"),
    ),
]
"""`engine: EngineOption = "small"`."""
BoardOption = Annotated[
    str,
    typer.Option(
        "--board", metavar="NAME|FILE", help="Shipped board (u280, u55c) or a YAML file.", autocompletion=names_of("boards")
    ),
]
"""`board: BoardOption = "u280"`."""
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the engine, such as tile.tokens=2.")
]
"""`settings: SettingsOption = None`."""
ContextOption = Annotated[
    int | None, typer.Option(metavar="TOKENS", help="Tokens that the cache of a workload keeps: sinks and window.")
]
"""`context: ContextOption = None`."""
PositionsOption = Annotated[
    int | None, typer.Option(help="Positions of a model that can be run.", show_default="those it was made for")
]
"""`positions: PositionsOption = None`."""
LayersOption = Annotated[
    str, typer.Option("--format", help="Weight format of a workload's layers.", autocompletion=names_of("formats"))
]
"""`layers: LayersOption = "w2s"`."""
CacheOption = Annotated[str, typer.Option(help="Format of a workload's keys and values: kv4 or kv8.")]
"""`cache: CacheOption = "kv4"`."""
FolderOption = Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.", show_default=False)]
"""`output: FolderOption`."""
MemoryOption = Annotated[
    str, typer.Option("--memory", metavar="MODEL", help="Memory model: ideal, stalling or hbm2, the last two also with :SEED.")
]
"""`memory: MemoryOption = "ideal"`."""
QuestionOption = Annotated[str, typer.Option("--question", metavar="TEXT", help="Text before the decode step.")]
"""`question: QuestionOption = "What is the capital of France?"`."""
RawOption = Annotated[bool, typer.Option("--raw", help="Take the text as it is, without the chat template.")]
"""`is_raw: RawOption = False`."""


def settings_of(texts: Sequence[str] | None, example: str = "tile.tokens=2") -> "Settings":
    """Return what `--set PATH=VALUE` says, by path, values as YAML has them; raise SpecError for another text."""
    from hwsim.plain import set_values

    return set_values(texts or (), example)
