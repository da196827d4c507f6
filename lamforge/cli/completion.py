"""Shell completion of names that `lamforge list` shows."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["names_of"]


def names_of(kind: str) -> Callable[[str], list[tuple[str, str]]]:
    """Return what completes the beginning of a name of a kind, such as `engines`, with a line of help for each."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from lamforge.flow.list import list as listed

        return [(entry.name, entry.title) for entry in listed(kind).entries if entry.name.startswith(incomplete)]

    return complete
