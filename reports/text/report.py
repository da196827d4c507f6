"""Where a report was written, in a line."""

from __future__ import annotations

from reports.pages.report import Report

__all__ = ["report_text"]


def report_text(found: Report) -> str:
    """Return what `lamforge report` prints."""
    return f"Report: {found.path}"
