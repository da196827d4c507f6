"""The timeline of a run as a file that Perfetto opens, with instructions in words and a lane of layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwsim.arch.assembly import format_instruction
from hwsim.arch.fields import Unit
from hwsim.machine.timeline import chrome_event, chrome_trace
from hwsim.whole_files import whole_file
from lamforge.flow.executed import Executed
from lamforge.flow.simulate import Timing

__all__ = ["trace_document", "write_chrome_trace"]

_LAYERS_LANE = len(Unit) + 1


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
    document["traceEvents"] += _layers(executed)
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
    with whole_file(path) as part:
        part.write_text(json.dumps(trace_document(simulation), separators=(",", ":")) + "\n")


def _layers(executed: Executed) -> list[dict[str, Any]]:
    """Return the lane of layers: from the first matrix instruction of one to its last."""
    label = {"ph": "M", "name": "thread_name", "pid": 0, "tid": _LAYERS_LANE, "args": {"name": "LAYERS"}}
    place = {"ph": "M", "name": "thread_sort_index", "pid": 0, "tid": _LAYERS_LANE, "args": {"sort_index": -1}}
    return [label, place] + [
        chrome_event(name, _LAYERS_LANE, first, last + 1 - first, executed.timing.engine.clock_hz)
        for name, (first, last) in executed.layer_spans.items()
    ]
