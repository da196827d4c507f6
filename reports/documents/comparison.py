"""What changed between two results, two studies or two commits, as plain values."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from lamforge.explore.differences import Figures, StudyComparison, StudySide
from lamforge.explore.exploration import Design
from lamforge.flow.compare import Change, DocumentComparison, Part
from reports.text.comparison import answer_text

__all__ = ["comparison_document", "results_document", "studies_document"]


def comparison_document(found: DocumentComparison | StudyComparison) -> dict[str, Any]:
    """Return what `lamforge compare --json` prints."""
    return results_document(found) if isinstance(found, DocumentComparison) else studies_document(found)


def results_document(found: DocumentComparison) -> dict[str, Any]:
    """Return what differs between two results of a verb: of the results themselves, and of what the machine took."""
    return {
        "answer": answer_text(found),
        "a": found.a,
        "b": found.b,
        "of": found.verb,
        "is_changed": found.is_changed,
        **_part(found.results),
        "machine": _part(found.machine),
    }


def studies_document(found: StudyComparison) -> dict[str, Any]:
    """Return what differs between two studies, their fronts, and the figures of designs that are in both."""
    return {
        "answer": answer_text(found),
        "a": _side(found.a),
        "b": _side(found.b),
        "is_changed": found.is_changed,
        "matched_by": found.matched_by,
        "front": {"came": _designs(found.came), "left": _designs(found.left), "stayed": found.stayed},
        "leads": [
            {"objective": each.objective, "batch": each.batch, **each.values, "a": each.a, "b": each.b} for each in found.leads
        ],
        "cases": found.cases,
        "figures": [_figures(each) for each in found.figures],
        "study": _part(found.study),
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "same": part.same,
        "changes": [_change(each) for each in part.changes],
        "only_a": [dataclasses.asdict(each) for each in part.only_a],
        "only_b": [dataclasses.asdict(each) for each in part.only_b],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "a": change.a,
        "b": change.b,
        "share": change.share,
        "share_of_whole": change.share_of_whole,
        "effect": change.effect,
    }


def _side(side: StudySide) -> dict[str, Any]:
    return {
        "folder": side.folder,
        "study": side.name,
        "code": side.code,
        "points": side.points,
        "exact_points": side.exact_points,
        "objective": side.objective,
        "for_each": list(side.for_each),
        "best": None if side.best is None else _designs([side.best])[0],
        "bests": _designs(list(side.bests.values())[::-1]),
    }


def _designs(designs: Sequence[Design]) -> list[dict[str, Any]]:
    return [{"configuration": each.configuration, **each.values, **each.metrics} for each in designs]


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "fidelity": figures.fidelity,
        "same": figures.same,
        "changed": figures.changed,
        "only_a": figures.only_a,
        "only_b": figures.only_b,
        "changes": [{**each.values, "figure": each.change.path, **_change(each.change)} for each in figures.changes],
    }
