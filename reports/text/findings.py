"""Sentences on the results in a folder: the answer, what stops the next design, and what a step brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lamforge.explore.axes import Value
from lamforge.explore.exploration import Design
from lamforge.explore.findings import Findings, Miss, Step
from lamforge.explore.metrics import METRICS, PLACEMENT_METRICS
from lamforge.explore.rows import BOARD_RESOURCES, FULLEST
from lamforge.explore.study import BOARD, Study
from reports.text.figures import plural

__all__ = [
    "answer_text",
    "asked_figures",
    "cell_text",
    "constraint_text",
    "distinct_text",
    "figure_columns",
    "figure_of_design",
    "fullest_text",
    "heading_text",
    "listed",
    "measured_text",
    "miss_text",
    "name_text",
    "step_text",
    "stop_text",
    "values_text",
]

_METRICS = {**PLACEMENT_METRICS, **METRICS}
_NAMES = {"engine.clock_hz": "clock"}


def answer_text(found: Findings) -> str:
    """Return the best design with its figures, or that there is none and why."""
    if not found.front:
        if found.exact_points:
            return f"None of {plural(found.exact_points, 'simulated design')} meets the constraints."
        if found.met_points:
            return f"No design has been simulated yet, of {plural(found.met_points, 'point')} that meet the constraints."
        nearest = f" The nearest misses by {_percent(found.nearest.excess)}." if found.nearest else ""
        return f"No design meets the constraints, of {plural(found.points, 'point')}.{nearest}"
    first, best = found.study.objectives[0], found.front[0]
    shown = {each.name: best.design.metrics.get(each.name, best.design.values.get(each.name)) for each in found.study.objectives}
    hidden = {first.name, *found.study.axes}
    shown |= {name: best.design.metrics.get(name) for name in ("cycles", "fraction_of_peak", "token_per_joule")}
    rest = ", ".join(
        f"{name_text(name)} {measured_text(name, value)}"
        for name, value in shown.items()
        if name not in hidden and value is not None
    )
    goal = "highest" if first.is_maximized else "lowest"
    with_rest = f" ({rest})" if rest else ""
    return (
        f"The {goal} {name_text(first.name)} is {measured_text(first.name, shown[first.name])}{with_rest},"
        f" with {values_text(best.design.values, found)}{_others_text(found)}."
    )


def _others_text(found: Findings) -> str:
    """Return the best designs of the other values of `for_each`, after a semicolon; empty without any."""
    first, each = found.study.objectives[0].name, found.study.for_each
    leaders = {tuple(one.design.values[path] for path in each): one.design for one in reversed(found.front)}
    others = [
        f"it is {figure_of_design(first, design)} with {values_text(design.values, found)}"
        for design in list(reversed(leaders.values()))[1:]
    ]
    return "".join(f"; {other}" for other in others)


def stop_text(found: Findings) -> str:
    """Return what stops a better design than the best."""
    if not found.front:
        return ""
    first = found.study.objectives[0]
    if found.stop is not None and found.stop.gain is not None:
        return (
            f"{plural(found.better, 'rejected point')} would be better by the closed form; the nearest, by"
            f" {_percent(found.stop.gain)} in {name_text(first.name)}, is {miss_text(found.stop)}:"
            f" {values_text(found.stop.values, found)}."
        )
    if not found.rejected:
        return f"No point was rejected.{_ends_text(found)}"
    unknown = f"; of {plural(found.unknown, 'rejected point')} it gives no figures" if found.unknown else ""
    return f"No rejected point would be better by the closed form{unknown}.{_ends_text(found)}"


def _ends_text(found: Findings) -> str:
    """Return at the ends of which axes the best design stands, as a sentence with a space before it."""
    reached = [f"{name_text(path)} {cell_text(path, found.front[0].design.values[path])}" for path in found.ends]
    return f" It stands at the end of {listed(reached)}, beyond which the study does not look." if reached else ""


def miss_text(miss: Miss) -> str:
    """Return which constraints reject a design, and by how much; of a design that is too large, also where it is."""
    too_large = f" ({_place_text(miss.fullest)} is what is scarcest)" if miss.is_too_large and miss.fullest else ""
    names = [constraint_text(name) for name in miss.rejected_by]
    return f"rejected by {listed(names) or 'a constraint'}, which it misses by {_percent(miss.excess)}{too_large}"


def constraint_text(name: str) -> str:
    """Return the name of a constraint as people say it."""
    if name in BOARD_RESOURCES:
        return f"the board's {name_text(BOARD_RESOURCES[name])}"
    return "the board's memory channels" if name == BOARD else name


def fullest_text(design: Design) -> str:
    """Return what a design takes most of, and where, as a sentence; empty where that is not known."""
    share, fullest = design.metrics.get("fullest_share"), design.notes.get(FULLEST)
    if share is None or not fullest:
        return ""
    over = "It does not fit its board: it takes" if share > 1 else "Of its board it takes at most"
    return f"{over} {_percent(share)} of {_place_text(fullest)} that may be used."


def _place_text(fullest: str) -> str:
    """Return a resource and an SLR such as `uram in SLR0` with the resource as people say it."""
    resource, _, slr = fullest.partition(" in ")
    return f"the {name_text(resource)} of {slr}"


def step_text(step: Step) -> str:
    """Return what a step brings, in a few words."""
    change = "not known" if step.change is None else "no change" if round(step.change, 4) == 0 else f"{100 * step.change:+.2f} %"
    source = "" if step.change is None else ", exact" if step.is_exact else ", closed form"
    if not step.rejected_by:
        return f"{change}{source}"
    excess = "" if step.excess is None else f", missed by {_percent(step.excess)}"
    before = "" if step.change is None else f"{change}{source}, but "
    return f"{before}rejected: {listed([constraint_text(name) for name in step.rejected_by])}{excess}"


def distinct_text(values: Mapping[str, Value], found: Findings) -> str:
    """Return the values of those axes in which designs of the front differ."""
    varied = {path: value for path, value in values.items() if any(each.design.values[path] != value for each in found.front)}
    return values_text(varied or values, found)


def values_text(values: Mapping[str, Value], found: Findings) -> str:
    """Return the values of the axes that vary."""
    varied = {path: value for path, value in values.items() if len(found.study.axes[path]) > 1} or values
    return listed([f"{name_text(path)} {cell_text(path, value)}" for path, value in varied.items()])


def name_text(name: str) -> str:
    """Return a path or the name of a metric as people say it."""
    if name in _METRICS:
        return _METRICS[name].label
    return _NAMES.get(name, name.removeprefix("engine.").replace("_", " "))


def heading_text(name: str) -> str:
    """Return a path or the name of a metric as the head of a column, with the unit that its cells leave out."""
    unit = _METRICS[name].unit if name in _METRICS else ""
    return f"{name_text(name)}, {unit}" if unit else name_text(name)


def cell_text(name: str, value: float | str | None) -> str:
    """Return a value of a path or a metric; empty where there is none."""
    if value is None or isinstance(value, str):
        return value or ""
    if name.endswith("clock_hz"):
        return f"{value / 1e6:,g} MHz"
    if name in _METRICS and _METRICS[name].is_share:
        return _percent(value)
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def figure_of_design(name: str, design: Design, *, has_unit: bool = True) -> str:
    """Return a metric of a design, or its value of a path; with how full what is fullest is, also what that is."""
    value = design.metrics.get(name, design.values.get(name))
    text = measured_text(name, value) if has_unit else cell_text(name, value)
    return f"{text} ({design.notes[FULLEST]})" if name == "fullest_share" and text and design.notes.get(FULLEST) else text


def measured_text(name: str, value: float | str | None) -> str:
    """Return a value of a path or a metric with its unit, as a sentence has it."""
    unit = _METRICS[name].unit if name in _METRICS else ""
    return f"{cell_text(name, value)} {unit}" if unit else cell_text(name, value)


def asked_figures(study: Study) -> list[str]:
    """Return the metrics and paths of the objectives and constraints of a study; of `fits: board`, how full the board is."""
    names = [*(each.name for each in study.objectives), *(each.name for each in study.constraints)]
    return ["fullest_share" if name == BOARD else name for name in names]


def figure_columns(designs: Sequence[Design], study: Study) -> tuple[list[str], list[str]]:
    """Return the metrics of designs in the order in which a table shows them, and those that all designs have one value of.

    Objectives come first, then what is constrained, then what differs. Of a single design the second list is empty.
    """
    asked = asked_figures(study)
    known = [name for name in study.metrics if any(name in each.metrics for each in designs)]
    alike = [name for name in known if len({each.metrics.get(name) for each in designs}) == 1 and name not in asked]
    alike = alike if len(designs) > 1 else []
    order = {name: place for place, name in reversed(list(enumerate(asked)))}
    shown = [name for name in known if name not in alike]
    return sorted(shown, key=lambda name: order.get(name, len(asked))), alike


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def listed(texts: tuple[str, ...] | list[str]) -> str:
    """Return texts with commas between, and `and` before the last."""
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else "".join(texts)
