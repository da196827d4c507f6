"""Knows a run as Chrome trace events, which Perfetto opens: a lane for each unit and one for the layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwsim.arch.assembly import format_instruction
from hwsim.arch.fields import Unit
from reports.executed import Executed
from reports.folders import replaced_file
from reports.simulation import Simulation

__all__ = ["chrome_trace", "write_chrome_trace"]

_LAYERS_LANE = 0


def chrome_trace(simulation: Simulation) -> dict[str, Any]:
    """Return the trace of a run; time is in microseconds at the engine's clock, cycles are in the arguments."""
    executed, timeline = Executed(simulation=simulation), simulation.timeline
    per_cycle_us = 1e6 / simulation.engine.clock_hz

    def event(name: str, category: str, lane: int, first: int, last: int, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "cat": category,
            "ph": "X",
            "pid": 1,
            "tid": lane,
            "ts": round(first * per_cycle_us, 6),
            "dur": round((last + 1 - first) * per_cycle_us, 6),
            "args": arguments,
        }

    events: list[dict[str, Any]] = [
        _label("process_name", 0, f"{simulation.model} {simulation.program.name} on {simulation.engine.name}")
    ]
    events.append(_label("thread_name", _LAYERS_LANE, "layers"))
    events += [_label("thread_name", 1 + unit, unit.name) for unit in Unit]
    spans: dict[str, tuple[int, int]] = {}
    for index in range(len(timeline.pc)):
        first, last, retire = (int(times[index]) for times in (timeline.issue, timeline.release, timeline.retire))
        arguments = {
            "instruction": format_instruction(simulation.trace.instruction(index)),
            "pc": int(timeline.pc[index]),
            "dispatch": int(timeline.dispatch[index]),
            "issue": first,
            "release": last,
            "retire": retire,
        }
        name = f"{executed.kind(index)} {executed.name(index)}"
        events.append(event(name, executed.family(index), 1 + int(timeline.unit[index]), first, last, arguments))
        if timeline.unit[index] == Unit.MATRIX:
            span = f"layer {int(executed.iteration[index])}" if executed.is_in_layer(index) else executed.part(index)
            before = spans.get(span, (first, last))
            spans[span] = (min(before[0], first), max(before[1], last))
    events += [
        event(name, "layer", _LAYERS_LANE, first, last, {"issue": first, "release": last})
        for name, (first, last) in spans.items()
    ]
    about = {
        "model": simulation.model,
        "program": simulation.program.digest,
        "engine": simulation.engine.digest,
        "memory": str(simulation.memory),
        "position": simulation.position,
        "cycles": timeline.cycles,
        "clock_hz": simulation.engine.clock_hz,
    }
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}


def write_chrome_trace(simulation: Simulation, path: Path) -> None:
    """Write the trace of a run to a file, whole or not at all."""
    with replaced_file(path) as part:
        part.write_text(json.dumps(chrome_trace(simulation), separators=(",", ":")) + "\n")


def _label(what: str, lane: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": lane, "args": {"name": name}}
