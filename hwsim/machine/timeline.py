"""A timeline as Chrome trace events, which Perfetto and chrome://tracing show: one lane for each unit."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.machine.time.result import Timeline

__all__ = ["chrome_trace"]


def chrome_trace(timeline: Timeline, symbols: Sequence[str]) -> dict[str, Any]:
    """Return the trace as JSON values; a cycle is drawn as a microsecond.

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
    events.append(_event("load program", control, 0, timeline.loaded + 1, {}))
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
        events.append(_event(name, unit, issue, release - issue + 1, detail))
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"cycles": timeline.cycles}}


def _event(name: str, lane: int, start: int, cycles: int, detail: dict[str, int]) -> dict[str, Any]:
    return {"ph": "X", "name": name, "pid": 0, "tid": lane, "ts": start, "dur": cycles, "args": detail}
