"""Sentences on the results in a folder: the answer, what stops the next design, and what a step brings."""

from __future__ import annotations

from collections.abc import Mapping

from lamforge.explore.axes import Value
from lamforge.explore.findings import Findings, Miss, Step
from reports.text.figures import plural

__all__ = ["answer_text", "cell_text", "distinct_text", "listed", "miss_text", "name_text", "step_text", "stop_text", "values_text"]

_NAMES = {"token_per_s": "token/s", "token_per_joule": "token/J", "engine.clock_hz": "clock"}


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
        f"{name_text(name)} {cell_text(name, value)}" for name, value in shown.items() if name not in hidden and value is not None
    )
    goal = "highest" if first.is_maximized else "lowest"
    with_rest = f" ({rest})" if rest else ""
    return (
        f"The {goal} {name_text(first.name)} is {cell_text(first.name, shown[first.name])}{with_rest},"
        f" with {values_text(best.design.values, found)}{_others_text(found)}."
    )


def _others_text(found: Findings) -> str:
    """Return the best designs of the other values of `for_each`, after a semicolon; empty without any."""
    first, each = found.study.objectives[0].name, found.study.for_each
    leaders = {tuple(one.design.values[path] for path in each): one.design for one in reversed(found.front)}
    others = [
        f"it is {cell_text(first, design.metrics.get(first, design.values.get(first)))} with {values_text(design.values, found)}"
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
    """Return which constraints reject a design, and by how much."""
    return f"rejected by {listed(miss.rejected_by) or 'a constraint'}, which it misses by {_percent(miss.excess)}"


def step_text(step: Step) -> str:
    """Return what a step brings, in a few words."""
    change = "not known" if step.change is None else "no change" if round(step.change, 4) == 0 else f"{100 * step.change:+.2f} %"
    source = "" if step.change is None else ", exact" if step.is_exact else ", closed form"
    if not step.rejected_by:
        return f"{change}{source}"
    excess = "" if step.excess is None else f", missed by {_percent(step.excess)}"
    before = "" if step.change is None else f"{change}{source}, but "
    return f"{before}rejected: {listed(step.rejected_by)}{excess}"


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
    return _NAMES.get(name, name.removeprefix("engine.").replace("_", " "))


def cell_text(name: str, value: float | str | None) -> str:
    """Return a value of a path or a metric; empty where there is none."""
    if value is None or isinstance(value, str):
        return value or ""
    if name.endswith("clock_hz"):
        return f"{value / 1e6:,g} MHz"
    if name == "fraction_of_peak":
        return _percent(value)
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def listed(texts: tuple[str, ...] | list[str]) -> str:
    """Return texts with commas between, and `and` before the last."""
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else "".join(texts)
