"""Measurements of a GPU, and the rates that fit them, as plain values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

# Measurements are drawn where only PyTorch and NumPy are, too.
if TYPE_CHECKING:
    from reports.studies.gpu_baseline.baseline import Baseline
    from reports.studies.gpu_rates import Fit

__all__ = ["baseline_document", "fit_document"]


def baseline_document(found: Baseline) -> dict[str, Any]:
    """Return the file of a measured GPU; what a row took stands among the row's own fields."""
    document: dict[str, Any] = _plain(found)
    return document


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


def _plain(value: object) -> Any:
    """Return dataclasses as mappings, without fields that are at their defaults."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    document: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if field.name == "took":
            document |= _plain(held)
        elif field.default is dataclasses.MISSING or held != field.default:
            document[field.name] = _plain(held)
    return document
