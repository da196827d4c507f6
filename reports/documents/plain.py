"""Results as plain values by their fields, and those that are too small for a file of their own."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamforge.flow.list import Catalogue

# A training is shown where only PyTorch and NumPy are; what ships is listed without them.
if TYPE_CHECKING:
    from lamforge.flow.distill.train import Lesson

__all__ = ["catalogue_document", "lesson_document", "plain", "report_document"]


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


def catalogue_document(found: Catalogue) -> dict[str, Any]:
    """Return the names of a kind with their lines."""
    return {found.kind: [dataclasses.asdict(entry) for entry in found.entries]}


def report_document(path: Path) -> dict[str, Any]:
    """Return what `lamforge report --json` prints."""
    return {"report": str(path), "bytes": path.stat().st_size}


def lesson_document(found: "Lesson") -> dict[str, Any]:
    """Return what `lamforge distill train --json` prints; nothing in a process that is not the first of a team."""
    if not found.is_first:
        return {}
    if found.is_done is None:
        return {"device": found.report.device, "steps": found.report.settings.steps}
    return {**found.report.to_document(), "is_done": found.is_done}
