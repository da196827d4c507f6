"""A training and the model made of it as plain values; the results of the other stages are plain themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# A training is shown where only PyTorch and NumPy are, too.
if TYPE_CHECKING:
    from lamforge.flow.distill.export import DistilledModel
    from lamforge.flow.distill.train import Lesson

__all__ = ["distilled_document", "lesson_document"]


def lesson_document(found: Lesson) -> dict[str, Any]:
    """Return what `lamforge distill train --json` prints; nothing in a process that is not the first of a team."""
    if not found.is_first:
        return {}
    if found.is_done is None:
        return {"device": found.report.device, "steps": found.report.settings.steps}
    return {**found.report.to_document(), "is_done": found.is_done}


def distilled_document(found: DistilledModel) -> dict[str, Any]:
    """Return what `lamforge distill export --json` prints."""
    from lamforge.flow.compress import Compression
    from reports.documents.model import compression_document

    return compression_document(Compression(made=found.model, folder=found.folder))
