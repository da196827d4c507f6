"""What ships of a kind as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any

from lamforge.flow.list import Catalogue

__all__ = ["catalogue_document"]


def catalogue_document(found: Catalogue) -> dict[str, Any]:
    """Return the names of a kind with their lines."""
    return {found.kind: [dataclasses.asdict(entry) for entry in found.entries]}
