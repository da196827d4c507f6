"""Stages of a distillation as lines of name and value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lamforge.flow.distill.export import DistilledModel
from lamforge.flow.distill.merge import MergedResult
from lamforge.flow.distill.prepare import Preparation
from lamforge.flow.distill.sample import SampledText
from lamforge.flow.distill.train import Lesson
from models.distill.probe import Trial
from models.distill.report import Scores
from reports.text.table import fields
from reports.text.tables import size_text

__all__ = ["distilled_text", "lesson_text", "merged_text", "preparation_text", "sampled_text", "trial_text"]


def preparation_text(found: Preparation) -> str:
    """Return the teacher and the files that were written."""
    return fields([("model", found.model), *_sizes(found.parts), ("in all", size_text(found.bytes))])


def sampled_text(found: SampledText) -> str:
    """Return how much text there is."""
    return fields([("device", found.device), ("tokens", f"{found.tokens:,}")])


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
    return fields(rows + _scores(report.perplexities or {}))


def merged_text(found: MergedResult) -> str:
    """Return the files of a mixed result."""
    return fields([("folder", str(found.folder)), *_sizes(found.parts)])


def distilled_text(found: DistilledModel) -> str:
    """Return where the model is, and how well the student predicted."""
    model = found.model.model
    rows = [("model", model.config.name), ("folder", str(found.folder)), ("fingerprint", model.fingerprint)]
    return fields(rows + _scores(found.perplexities))


def trial_text(found: Trial) -> str:
    """Return speeds and agreements of a machine."""
    rows = [
        ("device", found.device),
        ("sampled", f"{found.sampled_tokens_per_s_second:,.0f} tokens/s, {found.sampled_tokens_per_s_first:,.0f} at first"),
        ("trained", f"{found.trained_tokens_per_s:,.0f} tokens/s, after {found.compiled_s:.0f} s to compile"),
        ("losses", ", ".join(f"{loss:.4f}" for loss in found.losses)),
    ]
    if found.graph_agreement is not None:
        agreement = f"{found.graph_agreement:.1%} of tokens, {found.distinct_sequences} distinct sequences"
        rows.append(("with a captured graph", agreement))
    return fields(rows + [(f"cosine of {name.replace('_', ' ')}", f"{value:.6f}") for name, value in found.block.items()])


def _sizes(parts: Mapping[Path, int]) -> list[tuple[str, str]]:
    return [(str(path), size_text(size)) for path, size in parts.items()]


def _scores(scores: Mapping[str, Scores]) -> list[tuple[str, str]]:
    return [
        (name, f"perplexity {each.student.perplexity:.3f}, {each.ratio:.3f} times the teacher's")
        for name, each in scores.items()
    ]
