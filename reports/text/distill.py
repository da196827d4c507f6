"""A training, and the model made of it, as lines of name and value."""

from __future__ import annotations

from lamforge.flow.distill.export import DistilledModel
from lamforge.flow.distill.train import Lesson
from reports.text.table import fields

__all__ = ["distilled_text", "lesson_text"]


def lesson_text(found: Lesson) -> str:
    """Return how far a training has come, and how well its student predicts."""
    report = found.report
    rows = [("model", report.model), ("device", report.device)]
    if found.is_done is None:
        return fields([*rows, ("steps that fit", f"{report.settings.steps:,}")])
    left = "done" if found.is_done else "another call goes on"
    rows += [
        ("steps", f"{report.steps:,} of {report.settings.steps:,}, {left}"),
        ("tokens", f"{report.tokens:,}"),
        ("trained", f"{report.trained_s:,.0f} s"),
    ]
    return fields(rows + _scores(found))


def distilled_text(found: DistilledModel) -> str:
    """Return where the model is, and how well the student predicted."""
    model = found.model.model
    rows = [("model", model.config.name), ("folder", str(found.folder)), ("fingerprint", model.fingerprint)]
    return fields(rows + _scores(found))


def _scores(found: Lesson | DistilledModel) -> list[tuple[str, str]]:
    return [
        (name, f"perplexity {each.student.perplexity:.3f}, {each.ratio:.3f} times the teacher's")
        for name, each in found.perplexities.items()
    ]
