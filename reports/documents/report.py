"""A written report as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["report_document"]


def report_document(path: Path) -> dict[str, Any]:
    """Return what `lamforge report --json` prints."""
    return {"report": str(path), "bytes": path.stat().st_size}
