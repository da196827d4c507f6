"""Results that need no words of their own as lines of name and value, and what ships of a kind."""

from collections.abc import Iterator, Mapping

from lamforge.flow.list import Catalogue
from reports.documents.plain import plain
from reports.text.table import table

__all__ = ["catalogue_text", "values_text"]


def values_text(found: object) -> str:
    """Return a line for each field of a result, and for each entry of its mappings."""
    return table(list(_rows("", plain(found))))


def catalogue_text(found: Catalogue) -> str:
    """Return a line for each name."""
    return table([(entry.name, entry.title) for entry in found.entries])


def _rows(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _rows(inner, each)
    else:
        yield name.replace("_", " ") if "/" not in name else name, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
