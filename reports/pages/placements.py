"""The results of a study of placements as one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from hwsim.whole_files import write_text
from lamforge.explore.leads import Case, View
from lamforge.explore.placement_findings import PlacementFindings, compared_leads, placement_findings
from lamforge.explore.placements import KINDS
from lamforge.explore.study import Study
from lamforge.flow.offload.compare import spread
from lamforge.flow.offload.contender import contender
from reports.pages.environment import page
from reports.pictures.offload import COLOURS, FIGURES, contexts_picture
from reports.pictures.offload import KINDS as CAUSES
from reports.text.figures import figure_text, tokens_text
from reports.text.placements import Question, answers_text, goal_text, measure_text, question_text, questions_of

__all__ = ["placement_page", "write_placements"]

_DRAWN: Mapping[str, str] = {"token_per_joule": "joules_per_token"} | {name: name for name in FIGURES}
"""The figure that is drawn for an objective, by its name."""
_KIND_COLOURS = dict(zip(KINDS, ("blue", "green", "violet", "amber", "coral"), strict=True))
_COLUMNS = 9
"""Prompts of a table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """One question with batches chosen in one way, as a section shows it.

    Attributes:
        view: how batches are chosen.
        columns: cases at the prompts of the tables; prompts: these, in words.
        pictures: a title and a picture for each objective that can be drawn over prompts.
        systems: names of all placements that answer some case, as rows of tables.
    """

    view: View
    columns: tuple[Case, ...]
    prompts: tuple[str, ...]
    pictures: tuple[tuple[str, Markup], ...]
    systems: tuple[str, ...]


def write_placements(folder: Path, output: Path | None = None) -> Path:
    """Write the page of a folder that a study of placements wrote, and return its path.

    output: where; None takes `report.html` in the folder.

    Raises:
        SpecError: the folder holds no results, or damaged ones, or the file cannot be written.
    """
    return write_text(folder / "report.html" if output is None else output, placement_page(placement_findings(folder)))


def placement_page(found: PlacementFindings) -> str:
    """Return the page."""
    study = found.study
    sections: dict[Question, list[Shown]] = {}
    for view in found.views:
        for question, cases in questions_of(view).items():
            sections.setdefault(question, []).append(_shown(view, cases, study))
    answer, *rest = answers_text(found.views, study)
    entries = [each for view in found.views for case in view.cases for many in case.entries.values() for each in many]
    assumed = {each.name: each for each in entries}
    values = {
        "found": found,
        "study": study,
        "metrics": study.metrics,
        "answer": answer,
        "rest": rest,
        "sections": [(f"question{number}", question_text(key), each) for number, (key, each) in enumerate(sections.items())],
        "systems": [(name, assumed[name], contender(assumed[name].system).system.title) for name in sorted(assumed)],
        "has_leader": bool(entries),
        "kinds": _KIND_COLOURS,
        "causes": CAUSES,
        "cause_colours": COLOURS,
        "goal": goal_text,
        "measure": measure_text,
        "figure": figure_text,
    }
    return page("placements", values)


def _shown(view: View, cases: Sequence[Case], study: Study) -> Shown:
    columns = [cases[place] for place in spread(len(cases), _COLUMNS)]
    prompts = [case.values.get("prompt", study.base.get("prompt")) for case in columns]
    names = dict.fromkeys(each.name for case in cases for many in case.entries.values() for each in many)
    drawn = []
    if len(cases) > 1:
        for objective in study.objectives:
            if objective.name in _DRAWN and any(case.entries[objective.name] for case in cases):
                figure = _DRAWN[objective.name]
                comparison = compared_leads(cases, objective.name, study)
                drawn.append((FIGURES[figure], Markup(contexts_picture(comparison, figure))))
    return Shown(
        view=view,
        columns=tuple(columns),
        prompts=tuple(tokens_text(float(each)) if isinstance(each, int | float) else "" for each in prompts),
        pictures=tuple(drawn),
        systems=tuple(names),
    )
