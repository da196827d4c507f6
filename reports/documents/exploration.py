"""What a study found, as plain values."""

from __future__ import annotations

from typing import Any

from lamforge.explore.accuracy import PATHS
from lamforge.explore.exploration import Exploration

__all__ = ["exploration_document"]


def exploration_document(found: Exploration) -> dict[str, Any]:
    """Return what `lamforge explore --json` prints: counts, rates, error of the closed form, front, and what was rejected."""
    error = found.closed_form_error
    return {
        "study": found.study.name,
        "folder": str(found.folder),
        "points": found.points,
        "exact_points": found.exact_points,
        "kept_points": found.kept_points,
        "closed_points_per_s": found.closed_points_per_s,
        "exact_points_per_s": found.exact_points_per_s,
        "closed_form_error": None if error is None else {"median": error.median, "worst": error.worst},
        "objectives": {each.name: "maximize" if each.is_maximized else "minimize" for each in found.study.objectives},
        "front": [{"configuration": each.configuration, **each.values, **each.metrics} for each in found.front],
        "rejected": {
            each.constraint: {"points": each.points, "alone": each.alone, "nearest": each.least} for each in found.rejected
        },
        "contradictions": [[each.first, each.second] for each in found.contradictions],
        "unmeasured": [dict(zip(PATHS, key, strict=True)) | {"points": count} for key, count in found.unmeasured.items()],
    }
