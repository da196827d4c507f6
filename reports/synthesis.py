"""Knows what an engine would take of a board: parts, totals against budgets, a spread over its SLRs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwsim.arch.board import RESOURCES, Board
from hwsim.arch.config import EngineConfig
from rtl.synthesis import Estimate, estimate

__all__ = ["spread_over_slrs", "synthesis_document", "synthesis_text"]

_NAMES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}
_PER_PORT = ("stream_port", "tile", "slice")
Document = Mapping[str, Any]


def synthesis_document(
    engine: EngineConfig,
    board: Board,
    *,
    cache: Path = Path("build/synthesis"),
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Any]:
    """Return the estimate of an engine against a board as plain values; raise MachineError when a tool refuses."""
    began = time.perf_counter()
    result = estimate(engine, cache, progress)
    document: dict[str, Any] = {
        "engine": engine.name,
        "engine_digest": engine.digest,
        "board": board.name,
        "part": board.part.name,
        "tool": result.tool,
        "parts": [
            {"unit": part.unit, "name": part.name, "count": part.count, **part.resources} for part in result.parts
        ],
        "total": {resource: result.total(resource) for resource in RESOURCES},
        "device": {resource: board.device.count(resource) for resource in RESOURCES},
        "budget": {resource: board.limit(resource) for resource in RESOURCES},
        "slrs": spread_over_slrs(result, engine.tile.ports, board),
        "over": [resource for resource in RESOURCES if result.total(resource) > board.limit(resource)],
    }
    document["synthesis_s"] = time.perf_counter() - began
    return document


def spread_over_slrs(result: Estimate, ports: int, board: Board) -> list[dict[str, Any]]:
    """Return a spread of the engine over the SLRs: what they would hold, and the share of what their shell leaves free.

    The ports' own circuits (stream port, tile, slices) are dealt one by one to the SLR that they fill least; everything
    else stays together in the middle one. Logic that crosses between SLRs is not counted.
    """
    port = {
        resource: sum(part.resources[resource] for part in result.parts if part.name in _PER_PORT) / ports
        for resource in RESOURCES
    }
    rest = {resource: result.total(resource) - ports * port[resource] for resource in RESOURCES}
    held = [dict.fromkeys(RESOURCES, 0.0) for _ in board.slrs]
    dealt = [0] * len(held)
    held[len(held) // 2] = rest

    def fullness(index: int) -> float:
        free = board.slrs[index]
        return max((held[index][resource] + port[resource]) / free.count(resource) for resource in RESOURCES)

    for _ in range(ports):
        index = min(range(len(held)), key=fullness)
        dealt[index] += 1
        for resource in RESOURCES:
            held[index][resource] += port[resource]
    return [
        {
            "name": slr.name,
            "ports": dealt[index],
            **{resource: held[index][resource] for resource in RESOURCES},
            "free": {resource: slr.count(resource) for resource in RESOURCES},
        }
        for index, slr in enumerate(board.slrs)
    ]


def synthesis_text(document: Document) -> str:
    """Return the tables of an estimate."""
    rows = [["part", "copies", *_NAMES.values()]]
    rows += [
        [f"{part['unit']}.{part['name']}", f"{part['count']}", *(_count(part[name]) for name in RESOURCES)]
        for part in sorted(document["parts"], key=lambda part: (part["unit"], -part["lut"]))
    ]
    total, device, budget = document["total"], document["device"], document["budget"]
    rows.append(["total", "", *(_count(total[name]) for name in RESOURCES)])
    rows.append(["budget", "", *(_count(budget[name]) for name in RESOURCES)])
    rows.append([f"share of {document['board']}", "", *(f"{total[name] / device[name]:.1%}" for name in RESOURCES)])
    for slr in document["slrs"]:
        shares = [f"{slr[name] / slr['free'][name]:.1%}" for name in RESOURCES]
        rows.append([f"{slr['name']} of what is free", f"{slr['ports']} ports", *shares])
    over = [_NAMES[name] for name in document["over"]]
    verdict = f"over the budget in {', '.join(over)}" if over else "within the budget"
    lines = [f"{document['engine']} on {document['board']} ({document['part']}), {document['tool']}: {verdict}", _columns(rows)]
    lines.append("An estimate by open synthesis; docs/synthesis.md says what it can and cannot tell.")
    return "\n".join(lines)


def _count(value: float) -> str:
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"


def _columns(rows: list[list[str]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        name, *numbers = row
        right = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *right]))
    return "\n".join(lines)
