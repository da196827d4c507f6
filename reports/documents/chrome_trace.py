"""The timeline of a run as a file that Perfetto opens, with instructions in words and a lane of layers."""

import collections
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.arch.assembly import format_instruction
from hwsim.arch.fields import Unit
from hwsim.whole_files import write_text
from lamforge.flow.executed import Executed
from lamforge.flow.simulate import Timeline, Timing

__all__ = ["chrome_trace", "trace_document", "write_chrome_trace"]

_CONTROL_LANE, _LAYERS_LANE = len(Unit), len(Unit) + 1
_COLUMNS = ("pc", "unit", "dispatch", "issue", "release", "retire", "memory", "drain")


def trace_document(simulation: Timing) -> dict[str, Any]:
    """Return the Chrome trace of a run; its times are microseconds at the clock of the engine."""
    executed = Executed(timing=simulation)
    document = chrome_trace(simulation.timeline, simulation.program.symbols, simulation.engine.clock_hz)
    for event in document["traceEvents"]:
        index = event["args"].get("index")
        if index is not None:
            event["name"] = f"{executed.kind(index)} {event['name']}"
            event["cat"] = executed.family(index)
            event["args"]["instruction"] = format_instruction(simulation.trace.instruction(index))
    # The lane of layers: from the first matrix instruction of one to its last.
    document["traceEvents"] += _lane(_LAYERS_LANE, "LAYERS", -1)
    document["traceEvents"] += [
        _event(name, _LAYERS_LANE, first, last + 1 - first, simulation.engine.clock_hz)
        for name, (first, last) in executed.layer_spans.items()
    ]
    document["otherData"] |= {
        "model": simulation.model,
        "program": simulation.program.name,
        "program_digest": simulation.program.digest,
        "engine": simulation.engine.name,
        "engine_digest": simulation.engine.digest,
        "memory": str(simulation.memory),
        "position": simulation.position,
        "clock_hz": simulation.engine.clock_hz,
    }
    return document


def write_chrome_trace(simulation: Timing, path: Path) -> None:
    """Write the Chrome trace of a run to a file, whole or not at all."""
    write_text(path, json.dumps(trace_document(simulation), separators=(",", ":")) + "\n")


def chrome_trace(timeline: Timeline, symbols: Sequence[str], clock_hz: float) -> dict[str, Any]:
    """Return the trace as JSON values: times are microseconds at `clock_hz`, cycles stand in the arguments of an event.

    `symbols` names the words of the program; `{}` in a name stands for how often its word ran before. An instruction
    is drawn from its issue to its unit's release, the loading of the program in a lane of its own.
    """
    events = [event for unit in Unit for event in _lane(int(unit), unit.name, int(unit))]
    events += _lane(_CONTROL_LANE, "CONTROL", _CONTROL_LANE)
    events.append(_event("load program", _CONTROL_LANE, 0, timeline.loaded + 1, clock_hz))
    times: collections.Counter[int] = collections.Counter()
    columns = (getattr(timeline, name).tolist() for name in _COLUMNS)
    for index, (pc, unit, dispatch, issue, release, retire, memory, drain) in enumerate(zip(*columns, strict=True)):
        detail = {"index": index, "pc": pc, "dispatch": dispatch, "retire": retire}
        if unit == Unit.MATRIX:
            detail |= {"memory": memory, "drain": drain}
        name = symbols[pc].replace("{}", str(times[pc])) if symbols else f"pc {pc}"
        times[pc] += 1
        events.append(_event(name, unit, issue, release - issue + 1, clock_hz, detail))
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"cycles": timeline.cycles}}


def _lane(lane: int, name: str, place: int) -> list[dict[str, Any]]:
    """Return what names a lane, and what puts it in its place among the others."""
    named = {"thread_name": {"name": name}, "thread_sort_index": {"sort_index": place}}
    return [{"ph": "M", "name": kind, "pid": 0, "tid": lane, "args": arguments} for kind, arguments in named.items()]


def _event(
    name: str, lane: int, start: int, cycles: int, clock_hz: float, detail: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return one event of a lane, from the cycle `start` on."""
    microsecond = clock_hz / 1e6
    arguments = {"start": start, "cycles": cycles, **(detail or {})}
    times = {"ts": start / microsecond, "dur": cycles / microsecond}
    return {"ph": "X", "name": name, "pid": 0, "tid": lane, **times, "args": arguments}
