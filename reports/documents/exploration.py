"""What a study found, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lamforge.explore.accuracy import PATHS
from lamforge.explore.exploration import Exploration
from lamforge.explore.leads import Entry

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
        "for_each": list(found.study.for_each),
        "front": [{"configuration": each.configuration, **each.values, **each.metrics} for each in found.front],
        "leads": [
            {
                "batch": view.batch,
                **case.values,
                "leaders": {name: _leader(entries, name) for name, entries in case.entries.items()},
            }
            for view in found.views
            for case in view.cases
        ],
        "rejected": {
            each.constraint: {"points": each.points, "alone": each.alone, "nearest": each.least} for each in found.rejected
        },
        "contradictions": [[each.first, each.second] for each in found.contradictions],
        "synthesized": [
            {"engine": each.engine.to_dict(), "designs": each.designs, "fits": each.fits}
            | {name: {"yosys": each.yosys[name], "model": each.model[name], "full": each.full[name]} for name in each.yosys}
            for each in found.synthesized
        ],
        "unmeasured": [dict(zip(PATHS, key, strict=True)) | {"points": count} for key, count in found.unmeasured.items()],
    }


def _leader(entries: Sequence[Entry], objective: str) -> dict[str, Any] | None:
    """Return the placement that leads by an objective; None where none meets the constraints."""
    if not entries:
        return None
    first = entries[0]
    figure = {objective: first.figure(objective)}
    return {"placement": first.name, "kind": first.kind, "batch": first.batch, "binding": first.binding, **figure}
