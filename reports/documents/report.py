"""A written report as plain values."""

from __future__ import annotations

from typing import Any

from reports.pages.report import Report

__all__ = ["report_document"]


def report_document(found: Report) -> dict[str, Any]:
    """Return what `lamforge report --json` prints."""
    return {"report": str(found.path), "bytes": found.size_bytes}
