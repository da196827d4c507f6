"""The charts of an exploration as Vega-Lite: fronts, parallel coordinates, sensitivity, roofline, and cycles by resource."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import vl_convert

from lamforge.explore.binding import Resource
from lamforge.explore.findings import Findings, Standing
from reports.text.findings import constraint_text, figure_columns, heading_text, name_text

__all__ = [
    "BARS",
    "RESOURCES",
    "SHAPES",
    "SOURCES",
    "STATES",
    "Cell",
    "Column",
    "Picture",
    "bundle",
    "columns_of",
    "pictures",
    "points_json",
    "resource_name",
    "style_json",
]

Cell = str | float | None
Row = Mapping[str, Cell]
BARS = 30
"""Designs of the front whose cycles are drawn."""
_STATES = ("front", "simulated", "closed form", "rejected")
_COLOURS = ("var(--coral)", "var(--blue)", "var(--grey)", "var(--amber)")
_SHAPES = ("diamond", "circle", "circle", "cross")
_RESOURCES = {
    Resource.STREAM: ("stream", "var(--green)"),
    Resource.MATRIX: ("matrix unit", "var(--amber)"),
    Resource.MEMORY: ("memory", "var(--coral)"),
    Resource.FETCH: ("waits for fetch", "var(--ink)"),
    Resource.OWN: ("waits for matrix", "var(--blue)"),
    Resource.VECTOR: ("waits for vector", "var(--violet)"),
    Resource.MOVER: ("waits for mover", "var(--teal)"),
    Resource.CONTROL: ("control", "var(--grey)"),
}
STATES = dict(zip(_STATES, _COLOURS, strict=True))
"""What a drawn point is, and its colour."""
SHAPES = dict(zip(_STATES, _SHAPES, strict=True))
"""What a drawn point is, and the shape of its mark."""
RESOURCES = dict(_RESOURCES.values())
"""What cycles are spent on, in a word or two, and its colour."""
SOURCES = {"exact": "var(--coral)", "closed form": "var(--blue)"}
"""Where a change comes from, and its colour."""
_MOST_ROOFS = 8
_MOST_TICKS = 10
_LOGARITHMIC = 30.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """What a point has one value of.

    Attributes:
        key: by which rows of charts call it.
        name: path of the axis, or name of the metric.
        label: the name, shorter.
        is_text: whether its values are texts.
        is_axis: whether it is an axis of the study.
        values: texts that it may have, in order; empty for numbers.
        ticks: numbers that it may have, if they are few; otherwise empty.
    """

    key: str
    name: str
    label: str
    is_text: bool
    is_axis: bool
    values: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart.

    Attributes:
        name: of its place on the page.
        title: what it shows, in a few words.
        told: what is read aloud in its place.
        spec: Vega-Lite as JSON, without the rows that the page has once for all.
        rows: own rows as JSON; empty for those of the points.
        is_linked: whether what is marked in it is marked in the others too.
    """

    name: str
    title: str
    told: str
    spec: str
    rows: str
    is_linked: bool


def resource_name(resource: Resource) -> str:
    """Return what cycles are spent on in a word or two, as charts call it."""
    return _RESOURCES[resource][0]


def style_json() -> str:
    """Return how all charts look, as JSON: their colours are those of the page, light or dark."""
    config = alt.Config(
        background="transparent",
        font="system-ui, sans-serif",
        aria=False,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor="var(--soft)",
            titleColor="var(--soft)",
            gridColor="var(--rule)",
            domainColor="var(--rule)",
            tickColor="var(--rule)",
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            labelLimit=170,
            labelOverlap=True,
        ),
        legend=alt.LegendConfig(disable=True),
        text=alt.MarkConfig(fill="var(--soft)", fontSize=12),
        rule=alt.MarkConfig(stroke="var(--soft)"),
    )
    return _script_json(config.to_dict())


def bundle() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed, to stand in a page."""
    found: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")
    # In a script element only these would be read as HTML.
    return found.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def columns_of(found: Findings) -> tuple[Column, ...]:
    """Return axes that vary, then metrics that some drawn point has, in the order of the table of the front."""
    axes = {path: values for path, values in found.study.axes.items() if len(values) > 1}
    drawn = {name: None for each in found.drawn for name in each.metrics}
    ordered, alike = figure_columns([each.design for each in found.front], found.study)
    metrics = [name for name in dict.fromkeys([*ordered, *drawn, *alike]) if name in drawn and name not in axes]
    columns: list[Column] = []
    for name in [*axes, *metrics]:
        values = tuple(map(str, axes[name])) if name in axes and isinstance(axes[name][0], str) else ()
        numbers = tuple(value for value in axes.get(name, ()) if not isinstance(value, str))
        columns.append(
            Column(
                key=f"c{len(columns)}",
                name=name,
                label=f"{name_text(name)}, Hz" if name.endswith("_hz") else heading_text(name),
                is_text=bool(values),
                is_axis=name in axes,
                values=values,
                ticks=() if len(numbers) > _MOST_TICKS else numbers,
            )
        )
    return tuple(columns)


def points_json(found: Findings, columns: Sequence[Column]) -> str:
    """Return the columns and the points as JSON, for the script of the page."""
    told = [{"key": each.key, "label": each.label, "values": list(each.values)} for each in columns]
    return _script_json({"columns": told, "rows": _rows_of(found, columns)})


def _rows_of(found: Findings, columns: Sequence[Column]) -> list[Row]:
    rows: list[Row] = []
    for number, each in enumerate(found.drawn):
        cells: dict[str, Cell] = {"id": number, "state": each.state, "why": _why(each.rejected_by.split(", "))}
        for column in columns:
            value = each.metrics.get(column.name, each.values.get(column.name))
            cells[column.key] = float(f"{value:.9g}") if isinstance(value, float) else value
        rows.append(cells)
    return rows


def _why(constraints: Sequence[str]) -> str:
    """Return what rejects a point, as marks say it when pointed at."""
    return ", ".join(map(constraint_text, constraints))


def pictures(found: Findings, columns: Sequence[Column]) -> tuple[Picture, ...]:
    """Return the charts; those of the front are left out where there is none."""
    rows = _rows_of(found, columns)
    pictures = [*_fronts(found, columns, rows), _parallel(columns)]
    if found.front:
        pictures += [_sensitivity(found)] if found.sensitivity else []
        pictures += [_roofline(found.front), _causes(found.front)]
    return tuple(pictures)


def _picture(
    name: str, title: str, told: str, chart: alt.Chart | alt.LayerChart | alt.FacetChart, rows: Sequence[Row] | None = None
) -> Picture:
    spec = chart.properties(width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding")).to_dict()
    # What names the schema names a server; the page asks none.
    del spec["$schema"]
    return Picture(
        name=name,
        title=title,
        told=told,
        spec=_script_json(spec),
        rows="" if rows is None else _script_json(rows),
        is_linked=rows is None,
    )


def _script_json(value: object) -> str:
    """Return JSON that may stand in a script element, whatever texts it has."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _number(column: Column, rows: Sequence[Row], axis: type[alt.X] | type[alt.Y]) -> alt.X | alt.Y:
    """Return a column as one side of a chart."""
    if column.is_text:
        return axis(f"{column.key}:N", title=column.label, sort=list(column.values))
    values = [value for row in rows if isinstance(value := row[column.key], float | int)]
    is_wide = bool(values) and min(values) > 0 and max(values) / min(values) >= _LOGARITHMIC
    ticks = (
        alt.Axis(format="~s" if column.name.endswith("_hz") else ",.7~r", values=list(column.ticks))
        if column.ticks
        else alt.Axis(format="~s", tickCount=6)
    )
    scale = alt.Scale(type="log", nice=False, padding=16) if is_wide else alt.Scale(zero=False, nice=not column.ticks, padding=12)
    return axis(f"{column.key}:Q", title=column.label, scale=scale, axis=ticks)


def _tips(columns: Sequence[Column]) -> list[alt.Tooltip]:
    tips = [
        alt.Tooltip(f"{each.key}:N", title=each.label)
        if each.is_text
        else alt.Tooltip(f"{each.key}:Q", title=each.label, format=",.7~r")
        for each in columns
    ]
    return [*tips, alt.Tooltip("state:N", title="what it is"), alt.Tooltip("why:N", title="rejected by")]


def _state() -> alt.Color:
    return alt.Color("state:N", scale=alt.Scale(domain=list(_STATES), range=list(_COLOURS)))


def _fronts(found: Findings, columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[Picture]:
    """Yield the first objective over each other one, or over what it depends on most where there is no other."""
    known = {column.name: column for column in columns}
    names = [each.name for each in found.study.objectives if each.name in known]
    if not names:
        return
    others = names[1:4]
    if not others:
        depended = [each.path for each in found.sensitivity if each.path in known]
        others = [*depended, *(name for name in known if name != names[0])][:1]
    y = known[names[0]]
    for number, name in enumerate(others):
        x = known[name]
        marked = alt.condition("chosen === null || indexof(chosen, datum.id) >= 0", alt.value(0.95), alt.value(0.08))
        chart = (
            alt.Chart(alt.NamedData(name="points"))
            .mark_point(filled=True, strokeWidth=1.5)
            .encode(
                x=_number(x, rows, alt.X),
                y=_number(y, rows, alt.Y),
                color=_state(),
                shape=alt.Shape("state:N", scale=alt.Scale(domain=list(_STATES), range=list(_SHAPES))),
                size=alt.condition("datum.state === 'front'", alt.value(90), alt.value(32)),
                opacity=marked,
                tooltip=_tips(columns),
            )
            .properties(height=320)
            .add_params(alt.param(name="chosen", value=None), alt.selection_interval(name="brush", encodings=["x", "y"]))
        )
        told = (
            f"Scatter plot of {y.label} over {x.label} for {len(rows):,} points, {len(found.front):,} of them on the front."
            " The table of the front has their figures."
        )
        yield _picture(f"front{number}", f"{y.label} over {x.label}", told, chart)


def _parallel(columns: Sequence[Column]) -> Picture:
    x = alt.X("key:N", sort=None, title=None, axis=alt.Axis(labelAngle=-30, labelLimit=150, grid=True, labelOverlap=False))
    y = alt.Y("share:Q", axis=None, scale=alt.Scale(domain=[-0.08, 1.08], nice=False))
    is_marked = "(chosen === null || indexof(chosen, datum.id) >= 0)"
    marked = (
        alt.when(f"{is_marked} && (chosen !== null || datum.state === 'front')")
        .then(alt.value(0.8))
        .when(is_marked)
        .then(alt.value(0.25))
        .otherwise(alt.value(0.03))
    )
    lines = (
        alt.Chart(alt.NamedData(name="lines"))
        .mark_line()
        .encode(
            x=x,
            y=y,
            detail="id:N",
            color=_state(),
            opacity=marked,
            strokeWidth=alt.condition("datum.state === 'front'", alt.value(2), alt.value(1)),
        )
        .add_params(alt.param(name="chosen", value=None), alt.selection_interval(name="brush", encodings=["x", "y"]))
    )
    ends = alt.Chart(alt.NamedData(name="ends")).mark_text(dy=alt.expr("datum.share > 0.5 ? -9 : 10"), fontSize=11)
    chart = alt.layer(lines, ends.encode(x=x, y=y, text="label:N")).properties(height=340)
    told = (
        "Parallel coordinates: one line for each point, across "
        + ", ".join(column.label for column in columns)
        + ". The table of the front has the figures of its points."
    )
    return _picture("parallel", "All axes and metrics", told, chart)


def _sensitivity(found: Findings) -> Picture:
    rows: list[Row] = [
        {
            "axis": name_text(each.path),
            "value": str(step.value),
            "change": step.change,
            "source": "exact" if step.is_exact else "closed form",
            "meets": "rejected" if step.rejected_by else "meets all",
            "why": _why(step.rejected_by),
        }
        for each in found.sensitivity
        for step in each.steps
        if step.change is not None
    ]
    spans: list[Row] = [{"axis": name_text(each.path), "low": each.low, "high": each.high} for each in found.sensitivity]
    order = [str(span["axis"]) for span in spans]
    y = alt.Y("axis:N", sort=order, title=None)
    measure = name_text(found.measure)
    bars = alt.Chart(alt.InlineData(values=spans)).mark_bar(height=6, color="var(--rule)", cornerRadius=3)
    dots = alt.Chart(alt.NamedData(name="own")).mark_point(filled=True, size=70, opacity=1)
    zero = alt.Chart(alt.InlineData(values=[{"change": 0}])).mark_rule()
    chart = alt.layer(
        bars.encode(x=alt.X("low:Q", title=f"change of {measure}", axis=alt.Axis(format="+~%", tickCount=6)), x2="high:Q", y=y),
        zero.encode(x="change:Q"),
        dots.encode(
            x="change:Q",
            y=y,
            color=alt.Color("source:N", scale=alt.Scale(domain=list(SOURCES), range=list(SOURCES.values()))),
            shape=alt.Shape("meets:N", scale=alt.Scale(domain=["meets all", "rejected"], range=["circle", "cross"])),
            tooltip=[
                alt.Tooltip("axis:N"),
                alt.Tooltip("value:N"),
                alt.Tooltip("change:Q", format="+.2%"),
                alt.Tooltip("source:N"),
                alt.Tooltip("why:N", title="rejected by"),
            ],
        ),
    ).properties(height=30 * len(spans))
    told = (
        f"For each axis, the change of {measure} from the best design when this axis alone has another value."
        " The table below has the figures."
    )
    return _picture("sensitivity", "Sensitivity of each axis", told, chart, rows)


def _roofline(front: Sequence[Standing]) -> Picture:
    rows: list[Row] = [
        {
            "design": f"#{number}",
            "intensity": each.roofs.intensity,
            "reached": each.roofs.reached_per_s,
            "share": each.design.metrics["fraction_of_peak"],
            "binds": _RESOURCES[each.binding.resource][0],
        }
        for number, each in enumerate(front, start=1)
    ]
    known = {(each.roofs.bytes_per_s, each.roofs.products_per_s): None for each in front}
    left = min(each.roofs.intensity for each in front) / 4
    right = max(*(4 * each.roofs.intensity for each in front), *(2 * peak / width for width, peak in known))
    lines: list[Row] = []
    for number, (width, peak) in enumerate(list(known)[:_MOST_ROOFS]):
        name = f"{width / 1e9:,.4g} GB/s, {peak / 1e9:,.4g} G products/s"
        places = [left, min(max(peak / width, left), right), right]
        lines += [{"roof": number, "intensity": place, "reached": min(width * place, peak), "name": name} for place in places]
    x = alt.X("intensity:Q", title="products per byte of the stream", scale=alt.Scale(type="log", nice=False))
    y = alt.Y(
        "reached:Q",
        title="products per second",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(format="~s", tickCount=5),
    )
    roof = alt.Chart(alt.InlineData(values=lines)).mark_line(color="var(--soft)", strokeWidth=1.5)
    dots = alt.Chart(alt.NamedData(name="own")).mark_point(filled=True, size=80, opacity=0.9)
    chart = alt.layer(
        roof.encode(x=x, y=y, detail="roof:N", tooltip=alt.Tooltip("name:N", title="roof")),
        dots.encode(
            x=x,
            y=y,
            color=_resource("binds:N"),
            tooltip=[
                alt.Tooltip("design:N"),
                alt.Tooltip("reached:Q", format=".4~s", title="products per second"),
                alt.Tooltip("intensity:Q", format=".4~g", title="products per byte"),
                alt.Tooltip("share:Q", format=".1%", title="of the memory roof"),
                alt.Tooltip("binds:N", title="bound by"),
            ],
        ),
    ).properties(height=340)
    told = (
        f"Roofline: products per second over products per byte of {len(front):,} designs of the front, below the bandwidth of"
        " their stream ports and the rate of their multipliers. The table of the front has the share of the peak."
    )
    return _picture("roofline", "Roofline of the front", told, chart, rows)


def _resource(field: str) -> alt.Color:
    return alt.Color(field, scale=alt.Scale(domain=list(RESOURCES), range=list(RESOURCES.values())))


def _causes(front: Sequence[Standing]) -> Picture:
    shown = list(enumerate(front, start=1))[:BARS]
    rows: list[Row] = [
        {
            "design": f"#{number}",
            "cause": _RESOURCES[resource][0],
            "cycles": cycles,
            "share": each.binding.shares[resource],
            "order": list(_RESOURCES).index(resource),
        }
        for number, each in shown
        for resource, cycles in each.binding.cycles.items()
        if cycles
    ]
    chart = (
        alt.Chart(alt.NamedData(name="own"))
        .mark_bar(stroke="var(--panel)", strokeWidth=0.5)
        .encode(
            x=alt.X("cycles:Q", title="cycles of a decode step", axis=alt.Axis(format="~s", tickCount=6)),
            y=alt.Y("design:N", sort=[f"#{number}" for number, _ in shown], title=None),
            color=_resource("cause:N"),
            order="order:Q",
            tooltip=[
                alt.Tooltip("design:N"),
                alt.Tooltip("cause:N"),
                alt.Tooltip("cycles:Q", format=",.0f"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .properties(height=20 * len(shown))
    )
    told = f"Stacked bars: what the cycles of {len(shown):,} designs of the front are spent on, also in the table of the front."
    return _picture("causes", "What the cycles are spent on", told, chart, rows)
