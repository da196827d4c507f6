"""Options and arguments that several subcommands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BoardOption",
    "EngineOption",
    "FolderOption",
    "MemoryOption",
    "ModelArgument",
    "SettingsOption",
    "settings_of",
]

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
BoardOption = Annotated[str, typer.Option("--board", metavar="NAME|FILE", help="Shipped board (u280, u55c) or a YAML file.")]
"""`board: BoardOption = "u280"`."""


def settings_of(texts: Sequence[str] | None) -> dict[str, object]:
    """Return what `--set PATH=VALUE` says, by path, values as YAML has them; raise SpecError for another text."""
    import yaml

    from hwsim.errors import SpecError

    values: dict[str, object] = {}
    for setting in texts or ():
        path, equals, text = setting.partition("=")
        if not equals or not path or not text:
            raise SpecError(f"Setting must be PATH=VALUE such as tile.tokens=2, not {setting!r}")
        try:
            values[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecError(f"Setting {path} must have a plain value, not {text!r}") from None
    return values
