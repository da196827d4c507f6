"""Knows what an engine would take of a board: parts, totals against budgets, a spread over its SLRs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwsim.arch.board import RESOURCES, Board
from hwsim.arch.config import EngineConfig
from rtl.package.floorplan import floorplan
from rtl.synthesis import RANKING_DEVICE, Estimate, Part, estimate, rank

__all__ = ["spread_over_slrs", "synthesis_document", "synthesis_text"]

_NAMES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}
_IN_TILES = ("tile", "slice")
Document = Mapping[str, Any]


def synthesis_document(
    engine: EngineConfig,
    board: Board,
    *,
    is_ranked: bool = False,
    cache: Path = Path("build/synthesis"),
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Any]:
    """Return the estimate of an engine against a board as plain values; raise MachineError when a tool refuses.

    is_ranked: whether a slice is routed on another family, to rank engines by clock.
    """
    began = time.perf_counter()
    result = estimate(engine, cache, progress)
    document: dict[str, Any] = {
        "engine": engine.name,
        "engine_digest": engine.digest,
        "board": board.name,
        "part": board.part.value,
        "tool": result.tool,
        "parts": [
            {"unit": part.unit, "name": part.name, "count": part.count, **part.resources} for part in result.parts
        ],
        "total": {resource: result.total(resource) for resource in RESOURCES},
        "device": {resource: board.device.value.count(resource) for resource in RESOURCES},
        "budget": {resource: board.limit(resource) for resource in RESOURCES},
        "slrs": spread_over_slrs(result, engine, board),
        "over": [resource for resource in RESOURCES if result.total(resource) > board.limit(resource)],
        "ranking": {"device": RANKING_DEVICE, **rank(engine, cache)} if is_ranked else None,
    }
    document["synthesis_s"] = time.perf_counter() - began
    return document


def spread_over_slrs(result: Estimate, engine: EngineConfig, board: Board) -> list[dict[str, Any]]:
    """Return what the SLRs would hold by the floorplan of the engine's package, beside what their shell leaves free.

    Tiles with their slices lie where it deals them, what serves all tiles in the SLR it names, everything else with the
    memory. Logic that crosses between SLRs is not counted.
    """
    names = [slr.name for slr in board.slrs.value]
    memory = names.index(board.hbm.value.slr)
    plan = floorplan(engine, slrs=len(names), memory_slr=memory)
    tiles = [plan.tiles.count(index) for index in range(len(names))]
    places = {cell: slr for slr, cells in plan.regions for cell in cells}

    def share(part: Part, index: int) -> float:
        if part.name in _IN_TILES:
            return tiles[index] / engine.tile.ports
        unit = [part.name] if part.unit == "memories" else [f"{part.unit}/{part.name}", part.unit]
        slr = next((places[f"engine/{cell}"] for cell in unit if f"engine/{cell}" in places), memory)
        return float(index == slr)

    return [
        {
            "name": slr.name,
            "tiles": tiles[index],
            **{name: sum(share(part, index) * part.resources[name] for part in result.parts) for name in RESOURCES},
            "free": {resource: slr.count(resource) for resource in RESOURCES},
        }
        for index, slr in enumerate(board.slrs.value)
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
        rows.append([f"{slr['name']} of what is free", f"{slr['tiles']} tiles", *shares])
    over = [_NAMES[name] for name in document["over"]]
    verdict = f"over the budget in {', '.join(over)}" if over else "within the budget"
    lines = [f"{document['engine']} on {document['board']} ({document['part']}), {document['tool']}: {verdict}", _columns(rows)]
    ranking = document["ranking"]
    if ranking is not None:
        reached = f"A slice of it, routed on {ranking['device']}: {ranking['mhz']:.0f} MHz."
        lines.append(f"{reached} This ranks engines and says nothing of the board's clock.")
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
