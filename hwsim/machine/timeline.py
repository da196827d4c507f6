"""A timeline as Chrome trace events, which Perfetto and chrome://tracing show: one lane for each unit."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.machine.time.result import Timeline

__all__ = ["chrome_event", "chrome_trace"]


def chrome_trace(timeline: Timeline, symbols: Sequence[str], clock_hz: float) -> dict[str, Any]:
    """Return the trace as JSON values: times are microseconds at `clock_hz`, cycles stand in the arguments of an event.

    `symbols` names the words of the program; `{}` in a name stands for how often its word ran before. An instruction
    is drawn from its issue to its unit's release, the loading of the program in a lane of its own.
    """
    control = len(Unit)
    names = {**{int(unit): unit.name for unit in Unit}, control: "CONTROL"}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": lane, "args": {"name": name}}
        for lane, name in names.items()
    ]
    events += [
        {"ph": "M", "name": "thread_sort_index", "pid": 0, "tid": lane, "args": {"sort_index": lane}} for lane in names
    ]
    events.append(chrome_event("load program", control, 0, timeline.loaded + 1, clock_hz))
    times: collections.Counter[int] = collections.Counter()
    columns: tuple[np.ndarray, ...] = (
        timeline.pc,
        timeline.unit,
        timeline.dispatch,
        timeline.issue,
        timeline.release,
        timeline.retire,
        timeline.memory,
        timeline.drain,
    )
    for index, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        pc, unit, dispatch, issue, release, retire, memory, drain = row
        detail = {"index": index, "pc": pc, "dispatch": dispatch, "retire": retire}
        if unit == Unit.MATRIX:
            detail |= {"memory": memory, "drain": drain}
        name = symbols[pc].replace("{}", str(times[pc])) if symbols else f"pc {pc}"
        times[pc] += 1
        events.append(chrome_event(name, unit, issue, release - issue + 1, clock_hz, detail))
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"cycles": timeline.cycles}}


def chrome_event(
    name: str, lane: int, start: int, cycles: int, clock_hz: float, detail: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return one event of a lane, from the cycle `start` on."""
    microsecond = clock_hz / 1e6
    arguments = {"start": start, "cycles": cycles, **(detail or {})}
    times = {"ts": start / microsecond, "dur": cycles / microsecond}
    return {"ph": "X", "name": name, "pid": 0, "tid": lane, **times, "args": arguments}
