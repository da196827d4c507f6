"""What a study found: the answer, the front, how right the closed form was, and what rejected the rest."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence

from lamforge.explore.exploration import Design, Exploration
from reports.text.figures import figure_text, plural
from reports.text.findings import (
    asked_figures,
    constraint_text,
    figure_columns,
    figure_of_design,
    fullest_text,
    heading_text,
    name_text,
)
from reports.text.placements import answers_text, leaders_table
from reports.text.table import table

__all__ = ["exploration_text"]

_MOST_ROWS = 30
_LINE = 100
"""Columns of a terminal that the table of the front has, where what is asked for leaves room."""
_HEAD_LINES, _HEAD_LETTERS = 3, 9
"""Lines of a heading, and letters from which one is broken."""


def exploration_text(found: Exploration) -> str:
    """Return the answer in the first line, then the front, the error of the closed form, and what rejects how many points."""
    lines = _placements(found) if found.study.is_placement else _designs(found)
    error = found.closed_form_error
    if error is not None:
        lines += ["", f"closed form: {error.median:.2%} from the exact cycles in the median, {error.worst:.2%} at worst"]
    if found.synthesized:
        lines += ["", _circuits(found)]
    if found.rejected:
        rows = [
            (constraint_text(each.constraint), f"{each.points:,}", f"{each.alone:,}", _least(each.least)) for each in found.rejected
        ]
        lines += ["", table(rows, head=("rejected by", "points", "by it alone", "nearest misses by"), right=(1, 2, 3))]
    lines += [f"No point meets both {each.first!r} and {each.second!r}." for each in found.contradictions]
    if found.unmeasured:
        lines += ["", found.missing]
    return "\n".join([*lines, "", f"lamforge report {shlex.quote(str(found.folder))} shows it as a page"])


def _designs(found: Exploration) -> list[str]:
    """Return the best design, of each of the values that have a front of their own, the counts, and the front."""
    lines = [f"{found.study.name}: {each}" for each in _best(found)]
    exact_pace = "" if found.exact_points_per_s is None else f" ({figure_text(found.exact_points_per_s)} a second)"
    lines += [
        f"{plural(found.points, 'point')} by the closed form ({figure_text(found.closed_points_per_s)} a second),"
        f" {found.exact_points:,} to the cycle{exact_pace};"
        f" {plural(found.kept_points, 'row')} kept from before",
        *([fullest] if (fullest := fullest_text(found.front[0])) else []),
        "",
        _front(found),
    ]
    hidden = len(found.front) - _MOST_ROWS
    return [*lines, f"and {hidden:,} more, in {found.folder / 'front.csv'}"] if hidden > 0 else lines


def _best(found: Exploration) -> list[str]:
    first = found.study.objectives[0].name
    leaders = {tuple(each.values[path] for path in found.study.for_each): each for each in reversed(found.front)}
    return [
        f"{''.join(f'for {path} {_cell(value)}, ' for path, value in zip(found.study.for_each, group, strict=True))}"
        f"the best {first} is {_cell(each.metrics.get(first, each.values.get(first)))}, with {_values(each)}"
        for group, each in reversed(leaders.items())
    ]


def _placements(found: Exploration) -> list[str]:
    """Return who leads where, the counts, and the leaders over prompts."""
    answer, *rest = answers_text(found.views, found.study)
    return [
        f"{found.study.name}: {answer}",
        *rest,
        f"{plural(found.points, 'point')} estimated ({figure_text(found.closed_points_per_s)} a second);"
        f" {plural(found.kept_points, 'row')} kept from before; {plural(len(found.front), 'point')} on the fronts, in"
        f" {found.folder / 'front.csv'}",
        "",
        leaders_table(found.views, found.study),
    ]


def _front(found: Exploration) -> str:
    """Return the front as a table: what varies, then the objectives, then the other metrics as far as a line reaches."""
    shown = found.front[:_MOST_ROWS]
    paths = [path for path in found.study.axes if len({each.values[path] for each in found.front}) > 1]
    metrics, alike = figure_columns(found.front, found.study)
    metrics = [name for name in metrics if name not in paths]
    asked = asked_figures(found.study)
    columns = {name: _column(name, shown) for name in (*paths, *metrics)}
    names = [name for name in columns if name in paths or name in asked]
    for name in columns:
        if name not in names and sum(_width(columns[each]) for each in (*names, name)) <= _LINE:
            names.append(name)
    lines = [table(list(zip(*(columns[name] for name in names), strict=True)), right=range(len(names)))]
    if alike:
        told = ", ".join(f"{name_text(name)} {figure_of_design(name, shown[0])}" for name in alike)
        lines += textwrap.wrap(f"all of them: {told}", _LINE, break_on_hyphens=False)
    if hidden := [name for name in columns if name not in names]:
        lines.append(f"not shown: {', '.join(map(name_text, hidden))}, in {found.folder / 'front.csv'}")
    return "\n".join(lines)


def _column(name: str, designs: Sequence[Design]) -> list[str]:
    """Return the lines of a heading, as many of every column, and the cells below it."""
    words = heading_text(name).replace(".", ". ").split()
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= _HEAD_LETTERS or len(lines) == _HEAD_LINES:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [*[""] * (_HEAD_LINES - len(lines)), *lines, *(figure_of_design(name, each, has_unit=False) for each in designs)]


def _width(column: Sequence[str]) -> int:
    return max(map(len, column)) + 2


def _values(design: Design) -> str:
    return ", ".join(f"{path} {_cell(value)}" for path, value in design.values.items())


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _least(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _circuits(found: Exploration) -> str:
    """Return the circuits of the front as synthesized, how far the model is off, and how full the fullest SLR is."""
    head = ["circuit", *(f"{name} (model)" for name in found.synthesized[0].yosys), "fullest SLR", "fits"]
    rows = []
    for number, each in enumerate(found.synthesized, start=1):
        counts = [f"{count:,.6g} ({each.off[name]:+.1%})" for name, count in each.yosys.items()]
        fullest = max(each.full, key=lambda name: each.full[name])
        rows.append([str(number), *counts, f"{each.full[fullest]:.0%} of {fullest}", "yes" if each.fits else "no"])
    told = f"of {plural(len(found.front), 'design')} on the front, in {found.folder / 'synthesis.csv'}"
    return f"{table(rows, head=head, right=range(1, len(head) - 1))}\n{told}"
