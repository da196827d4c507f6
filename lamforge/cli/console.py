"""How subcommands give results to the user: as text or as JSON, on standard output or in a file, whole or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from hwsim.errors import SpecError
from hwsim.whole_files import write_text

__all__ = ["JsonOption", "OutputOption", "emit", "show"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document on standard output.")]
"""`as_json: JsonOption = False`; progress and remarks go to standard error, so the document stands alone."""
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result to this file.")]
"""`output: OutputOption = None`."""
Result = TypeVar("Result")


def show(
    result: Result,
    text: Callable[[Result], str],
    document: Callable[[Result], object],
    *,
    as_json: bool,
    output: Path | None = None,
) -> None:
    """Give a result to the user: as JSON what `document` makes of it, else what `text` does.

    output: file to write; None takes standard output.
    """
    try:
        content = json.dumps(document(result), indent=2, allow_nan=False) if as_json else text(result)
    except ValueError:
        raise SpecError("Result must be of finite numbers to be JSON: a value that was given is too large or too small") from None
    emit(content, output)


def emit(content: str, output: Path | None = None) -> None:
    """Write a text, with a line break at its end, to a file, whole or not at all, or to standard output."""
    content = content if content.endswith("\n") else content + "\n"
    if output is None:
        sys.stdout.write(content)
    else:
        write_text(output, content)
