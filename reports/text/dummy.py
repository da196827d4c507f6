"""A model with random weights in one line."""

from __future__ import annotations

from lamforge.flow.dummy import Dummy
from reports.text.tables import size_text

__all__ = ["dummy_text"]


def dummy_text(found: Dummy) -> str:
    """Return what was written, and how large it is."""
    return f"{found.network}: {size_text(found.bytes)} in {found.folder}"
