"""The results of an exploration as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from hwsim.whole_files import write_text
from lamforge.explore.axes import Value
from lamforge.explore.findings import DRAWN, Findings, findings
from lamforge.explore.metrics import METRICS
from reports.pages.environment import page
from reports.pictures.exploration import (
    BARS,
    RESOURCES,
    SHAPES,
    SOURCES,
    STATES,
    bundle,
    columns_of,
    pictures,
    points_json,
    resource_name,
    style_json,
)
from reports.text.findings import (
    answer_text,
    cell_text,
    constraint_text,
    distinct_text,
    figure_columns,
    figure_of_design,
    fullest_text,
    heading_text,
    measured_text,
    miss_text,
    name_text,
    step_text,
    stop_text,
    values_text,
)

__all__ = ["exploration_page", "write_exploration"]


def write_exploration(folder: Path, output: Path | None = None) -> Path:
    """Write the page of a folder that an exploration wrote, and return its path.

    output: where; None takes `report.html` in the folder.

    Raises:
        SpecError: the folder holds no results, or damaged ones, or the file cannot be written.
    """
    return write_text(folder / "report.html" if output is None else output, exploration_page(findings(folder)))


def exploration_page(found: Findings) -> str:
    """Return the page."""
    columns = columns_of(found)
    charts = pictures(found, columns)
    held = _held(found)
    values = {
        "found": found,
        "study": found.study,
        "columns": columns,
        # What differs first, so that it is seen without scrolling.
        "table_columns": sorted(columns, key=lambda each: each.name in held),
        "held": held,
        "assumed": {name: number for each in found.sources for name, number in each.assumed.items()},
        "charts": {each.name: each for each in charts},
        "linked": [each for each in charts if each.name.startswith("front")],
        "points": Markup(points_json(found, columns)),
        "chart_style": Markup(style_json()),
        "vega": Markup(bundle()),
        "markup": Markup,
        "metrics": METRICS,
        "states": STATES,
        "shapes": SHAPES,
        "sources": SOURCES,
        "resources": RESOURCES,
        "resource": resource_name,
        "drawn_at_most": DRAWN,
        "bars": BARS,
        "answer": answer_text(found),
        "stop": stop_text(found),
        "cell": cell_text,
        "named": name_text,
        "step": step_text,
        "miss": miss_text,
        "listed": values_text,
        "distinct": distinct_text,
        "heading": heading_text,
        "measured": measured_text,
        "figure": figure_of_design,
        "constraint": constraint_text,
        "fullest": fullest_text,
    }
    return page("exploration", values)


def _held(found: Findings) -> dict[str, Value]:
    """Return those axes and metrics that have one value in all designs of the front, with it, where there are several designs."""
    designs = [each.design for each in found.front]
    if len(designs) < 2:
        return {}
    values, metrics = designs[0].values, designs[0].metrics
    axes = {path: value for path, value in values.items() if {each.values[path] for each in designs} == {value}}
    _, alike = figure_columns(designs, found.study)
    return {path: value for path, value in axes.items() if len(found.study.axes[path]) > 1} | {
        name: metrics[name] for name in alike
    }
