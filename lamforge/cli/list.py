"""`lamforge list`: shows what ships, with a line on each."""

from typing import Annotated

from typer import Argument

from lamforge.cli.console import Answer, answer

__all__ = ["list"]

_KINDS = ["engines", "boards", "models", "recipes", "networks", "systems", "devices", "patterns", "methods", "formats", "studies"]


def list(
    kind: Annotated[
        str, Argument(metavar="KIND", help=f"One of {', '.join(_KINDS)}.", show_default=False, autocompletion=lambda: _KINDS)
    ],
) -> Answer:
    """List what ships of a kind, by name, with a line on each: what can be given wherever such a name is asked for.

    Examples:

        lamforge list engines

        lamforge list networks --json
    """
    from lamforge.flow.list import list as listed
    from reports.documents.plain import catalogue_document
    from reports.text.values import catalogue_text

    return answer(listed(kind), catalogue_text, catalogue_document)
