"""A model with random weights as plain values."""

from __future__ import annotations

from typing import Any

from lamforge.flow.dummy import Dummy

__all__ = ["dummy_document"]


def dummy_document(found: Dummy) -> dict[str, Any]:
    """Return what `lamforge dummy --json` prints."""
    return {"network": found.network, "folder": str(found.folder), "bytes": found.bytes}
