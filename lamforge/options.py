"""Options and arguments that several subcommands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EngineOption", "FolderOption", "MemoryOption", "ModelArgument", "SettingsOption"]

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)
]
"""`model: ModelArgument`."""
EngineOption = Annotated[
    str, typer.Option("--engine", metavar="NAME|FILE", help="Shipped engine (tiny, small, u280, u55c) or a YAML file.")
]
"""`engine: EngineOption = "small"`."""
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the engine, such as tile.tokens=2."),
]
"""`settings: SettingsOption = None`."""
FolderOption = Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.", show_default=False)]
"""`output: FolderOption`."""
MemoryOption = Annotated[
    str, typer.Option("--memory", metavar="MODEL", help="Memory model: ideal, stalling or hbm2, the last two also with :SEED.")
]
"""`memory: MemoryOption = "ideal"`."""
