"""Results whose fields are what their JSON has, as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["plain"]


def plain(value: object) -> Any:
    """Return fields by name, without those that are at their defaults; what a run `took` stands among the fields of its row."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name) if isinstance(name, Path) else name: plain(each) for name, each in value.items()}
    if not dataclasses.is_dataclass(value):
        return str(value) if isinstance(value, Path) else value
    document: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if field.name == "took":
            document |= plain(held)
        elif field.default is dataclasses.MISSING or held != field.default:
            document[field.name] = plain(held)
    return document
