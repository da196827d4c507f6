"""Aligned lines of names and values as they were before `reports.text.table`."""

from __future__ import annotations

from collections.abc import Sequence

from reports.text.figures import size_text, watts_text

__all__ = ["aligned", "size_text", "watts_text"]


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Return lines of name and value, the values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
