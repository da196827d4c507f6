"""A study as the text of a file: what is read from it is the study again."""

from __future__ import annotations

import json

from lamforge.explore.study import BOARD, Study

__all__ = ["study_text"]


def study_text(study: Study) -> str:
    """Return a study as YAML, ranges written out as lists."""
    lines = [f"name: {json.dumps(study.name)}"]
    lines += _section("base", [(path, json.dumps(value)) for path, value in study.base.items()])
    lines += _section("axes", [(path, json.dumps(list(values))) for path, values in study.axes.items()])
    if study.conditions:
        lines += ["conditions:", *(f"  - {json.dumps(condition.text)}" for condition in study.conditions)]
    bounds = []
    for bound in study.constraints:
        sides = (("at_least", bound.at_least), ("at_most", bound.at_most))
        limits = ", ".join(f"{side}: {json.dumps(limit)}" for side, limit in sides if limit is not None)
        bounds.append(("fits", BOARD) if bound.name == BOARD else (bound.name, f"{{{limits}}}"))
    lines += _section("constraints", bounds)
    goals = [(each.name, "maximize" if each.is_maximized else "minimize") for each in study.objectives]
    lines += _section("objectives", goals)
    if study.for_each:
        lines.append(f"for_each: {json.dumps(list(study.for_each))}")
    if study.accuracy is not None:
        lines.append(f"accuracy: {json.dumps(study.accuracy)}")
    options = [(name, value) for name, value in vars(study.search).items() if value is not None]
    lines += _section("search", [(name, json.dumps(value)) for name, value in options])
    exact = [] if study.is_placement else [f"exact: {json.dumps(study.exact)}"]
    return "\n".join([*lines, *exact]) + "\n"


def _section(name: str, entries: list[tuple[str, str]]) -> list[str]:
    return [f"{name}:", *(f"  {key}: {value}" for key, value in entries)] if entries else []
