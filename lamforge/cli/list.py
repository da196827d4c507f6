"""`lamforge list`: shows what ships, with a line on each."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show

__all__ = ["list"]

_KINDS = ["engines", "boards", "models", "recipes", "networks", "systems", "devices", "patterns", "methods", "formats", "studies"]


def list(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of {', '.join(_KINDS)}.", show_default=False, autocompletion=lambda: _KINDS)
    ],
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List what ships of a kind, by name, with a line on each: what can be given wherever such a name is asked for.

    Examples:

        lamforge list engines

        lamforge list networks --json
    """
    from lamforge.flow.list import list as listed
    from reports.documents.catalogue import catalogue_document
    from reports.text.catalogue import catalogue_text

    show(listed(kind), catalogue_text, catalogue_document, as_json=as_json, output=output)
