"""What the subcommands share: common options, results as text or JSON, files whole or not at all, progress."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from hwsim.whole_files import write_text

__all__ = ["JsonOption", "OutputOption", "emit", "progress", "status"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document on standard output.")]
"""`as_json: JsonOption = False`; progress and remarks go to standard error, so the document stands alone."""
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result to this file or folder.")]
"""`output: OutputOption = None`."""


def emit(text: str, document: Mapping[str, Any] | Sequence[Any], *, as_json: bool, output: Path | None = None) -> None:
    """Give the result to the user: `document` as JSON or `text` as it is, to the file `output` or standard output."""
    content = json.dumps(document, indent=2, allow_nan=False) if as_json else text
    content = content if content.endswith("\n") else content + "\n"
    if output is None:
        sys.stdout.write(content)
    else:
        write_text(output, content)


def status(sentence: str) -> None:
    """Say on standard error what happens now."""
    sys.stderr.write(f"{sentence}\n")


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Show progress bars on standard error: `with progress() as bars: task = bars.add_task("calibrate", total=30)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield bars
