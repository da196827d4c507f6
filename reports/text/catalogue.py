"""What ships of a kind as a table."""

from __future__ import annotations

from lamforge.flow.list import Catalogue
from reports.text.table import fields

__all__ = ["catalogue_text"]


def catalogue_text(found: Catalogue) -> str:
    """Return a line for each name."""
    return fields([(entry.name, entry.title) for entry in found.entries])
