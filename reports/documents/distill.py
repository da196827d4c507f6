"""Stages of a distillation as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

# These are drawn where only PyTorch and NumPy are, too.
if TYPE_CHECKING:
    from lamforge.flow.distill.export import DistilledModel
    from lamforge.flow.distill.merge import MergedResult
    from lamforge.flow.distill.prepare import Preparation
    from lamforge.flow.distill.sample import SampledText
    from lamforge.flow.distill.train import Lesson
    from models.distill.probe import Trial

__all__ = [
    "distilled_document",
    "lesson_document",
    "merged_document",
    "preparation_document",
    "sampled_document",
    "trial_document",
]


def preparation_document(found: Preparation) -> dict[str, Any]:
    """Return what `lamforge distill prepare --json` prints."""
    return {"model": found.model, "parts": _sizes(found.parts), "bytes": found.bytes}


def sampled_document(found: SampledText) -> dict[str, Any]:
    """Return what `lamforge distill sample --json` prints."""
    return {"tokens": found.tokens, "device": found.device}


def lesson_document(found: Lesson) -> dict[str, Any]:
    """Return what `lamforge distill train --json` prints; nothing in a process that is not the first of a team."""
    if not found.is_first:
        return {}
    if found.is_done is None:
        return {"device": found.report.device, "steps": found.report.settings.steps}
    return {**found.report.to_document(), "is_done": found.is_done}


def merged_document(found: MergedResult) -> dict[str, Any]:
    """Return what `lamforge distill merge --json` prints."""
    return {"parts": _sizes(found.parts), "folder": str(found.folder)}


def distilled_document(found: DistilledModel) -> dict[str, Any]:
    """Return what `lamforge distill export --json` prints."""
    from lamforge.flow.compress import model_document

    return model_document(found.model, found.folder) | {"folder": str(found.folder)}


def trial_document(found: Trial) -> dict[str, Any]:
    """Return what `lamforge distill probe --json` prints, without what a processor has not."""
    return {name: value for name, value in dataclasses.asdict(found).items() if value is not None}


def _sizes(parts: Mapping[Path, int]) -> dict[str, int]:
    return {str(path): size for path, size in parts.items()}
