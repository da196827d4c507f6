"""The shipped study of placements as the page and the table that are kept in docs/studies.

`python -m reports.studies.placement FOLDER` explores it again and writes both into FOLDER.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwsim.plain import csv_text
from hwsim.whole_files import write_text
from lamforge.explore.exploration import Exploration, ExploreRequest, run
from lamforge.explore.leads import Case, View
from lamforge.flow.offload.compare import spread
from reports.text.figures import figure_text, tokens_text
from reports.text.findings import listed
from reports.text.placements import answers_text, measure_text, question_text, questions_of

__all__ = ["NAME", "kept_page", "kept_table", "main"]

NAME = "placement"
"""Name of the study."""
_COLUMNS = 9
"""Prompts of a table."""


def kept_page(found: Exploration) -> str:
    """Return who leads where as Markdown."""
    study = found.study
    answer, *rest = answers_text(found.views, study)
    rejected = listed([f"{each.points:,} are rejected by {each.constraint}" for each in found.rejected])
    entries = [each for view in found.views for case in view.cases for many in case.entries.values() for each in many]
    assumed = max(each.metrics["assumed_share"] for each in entries)
    parts = [
        f"# Study {study.name}",
        answer,
        *rest,
        f"Made by `make docs` from [the study](../../lamforge/explore/studies/{study.name}.yaml), of {found.points:,} points, of"
        f" which {rejected}. `lamforge explore {study.name} -o OUT` makes it again, `lamforge report OUT` draws it, and"
        f" [{study.name}.csv]({study.name}.csv) has the leaders at every prompt.",
        f"All figures are estimates ([offload.md](../offload.md) says how right); up to {assumed:.0%} of the numbers behind one"
        " are assumed. What formats and windows cost in accuracy is not looked at; ShadowKV and SparF read a part of the cache."
        " The best batch is the one that is best for the figure asked.",
    ]
    for question in questions_of(found.views[0]):
        parts.append(f"## {question_text(question)}")
        parts += [_table(view, questions_of(view)[question], found) for view in found.views]
    return "\n\n".join(parts) + "\n"


def kept_table(found: Exploration) -> str:
    """Return the leader of every case by every objective as CSV."""
    goals = [each.name for each in found.study.objectives]
    columns = [column for goal in goals for column in (goal, f"{goal}.placement", f"{goal}.batch")]
    rows: list[list[object]] = [["batch", *found.study.for_each, *columns]]
    for view in found.views:
        for case in view.cases:
            cells: list[object] = []
            for goal in goals:
                leader = case.leader(goal)
                cells += ["", "", ""] if leader is None else [f"{leader.figure(goal):.4g}", leader.name, leader.batch]
            rows.append(["best" if view.batch is None else view.batch, *case.values.values(), *cells])
    return csv_text(rows)


def _table(view: View, cases: Sequence[Case], found: Exploration) -> str:
    some = [cases[place] for place in spread(len(cases), _COLUMNS)]
    lines = [
        f"| at {view.name} | " + " | ".join(tokens_text(float(case.values["prompt"])) for case in some) + " |",
        "|---" * (len(some) + 1) + "|",
    ]
    for goal in found.study.objectives:
        leaders = [case.leader(goal.name) for case in some]
        cells = ["nothing fits" if each is None else f"{each.name} {figure_text(each.figure(goal.name))}" for each in leaders]
        lines.append(f"| {measure_text(goal)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Write the page and the table into a folder."""
    folder = Path(arguments[0])
    with tempfile.TemporaryDirectory() as place:
        found = run(ExploreRequest(NAME, output=Path(place) / "out"))
    write_text(folder / f"{NAME}.md", kept_page(found))
    write_text(folder / f"{NAME}.csv", kept_table(found))


if __name__ == "__main__":
    main(sys.argv[1:])
