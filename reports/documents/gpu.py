"""Rates that fit the measurements of a GPU as plain values; the measurements are plain themselves."""

from __future__ import annotations

from typing import Any

from reports.studies.gpu_rates import Fit

__all__ = ["fit_document"]


def fit_document(found: Fit) -> dict[str, Any]:
    """Return what `lamforge gpu fit --json` prints."""
    return {
        "gpu": found.gpu,
        "rates": found.shares | {f"{name}_us": value for name, value in found.times_us.items()},
        "steps": [
            {"case": step.case, "measured_s": float(step.measured.value), "ours_s": float(step.ours.value), "error": step.error}
            for step in found.steps
        ],
    }
