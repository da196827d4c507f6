"""Some cycles of a run: a lane for each unit, a bar for each instruction, gaps where the unit waits."""

from hwsim.arch.fields import Unit
from lamforge.flow.executed import Executed
from reports.pictures import svg
from reports.pictures.chart import Axis, Chart, steps

__all__ = ["timeline_picture"]

_LANE, _BAR, _TAIL = 46, 30, 6
_CHARACTER = 6.2
_TICKS = 8


def timeline_picture(executed: Executed, window: tuple[int, int], title: str) -> str:
    """Return the cycles of a run between those of `window` as SVG."""
    timeline, (start, stop) = executed.timing.timeline, window
    lanes = _LANE * len(Unit)
    ticks = {cycle: f"{cycle - start:,.0f}" for cycle in (start + step for step in steps(0, stop - start, _TICKS))}
    chart = Chart(
        title=title,
        x=Axis(low=start, high=stop, title=f"cycles after cycle {start:,}", ticks=ticks, has_grid=True),
        y=Axis(low=lanes, high=0, ticks={_LANE * (unit + 0.5): unit.name for unit in Unit}, kind="lane"),
        width=1120,
        height=lanes + 52,
        left=70,
        top=12,
        bottom=40,
    )

    def x(cycle: float) -> float:
        return chart.across(min(max(cycle, start), stop))

    def top(lane: int) -> float:
        return chart.up(_LANE * lane + (_LANE - _BAR) / 2)

    marks = [svg.rectangle(x(start), top(unit), x(stop) - x(start), _BAR, "idle") for unit in Unit]
    for index in executed.within(start, stop):
        lane = top(int(timeline.unit[index]))
        issue, release, retire = (int(times[index]) for times in (timeline.issue, timeline.release, timeline.retire))
        family = executed.family(index)
        if retire > release:
            left, right = x(release + 1), x(retire + 1)
            marks.append(svg.rectangle(left, lane + _BAR - _TAIL, right - left, _TAIL, f"bar tail {family}"))
        left, width = x(issue), x(release + 1) - x(issue)
        if width <= 0:
            continue
        kind, part = executed.kind(index), executed.part(index)
        tip = f"{kind} {executed.name(index)}: cycles {issue:,} to {retire:,} ({retire - issue + 1:,})"
        marks.append(svg.rectangle(left, lane, max(width, 0.6), _BAR, f"bar {family}", tip=tip))
        # The longest name that there is room for.
        what = part if kind == "Dot" else kind
        label = next((name for name in (f"{kind} {part}", what, what[:3]) if len(name) * _CHARACTER < width - 6), "")
        if label:
            marks.append(svg.text(left + width / 2, lane + _BAR / 2 + 4, label, "inside", anchor="middle"))
    return chart.drawing(marks)
