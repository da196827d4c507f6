"""Written Verilog and an engine's resources as plain values."""

import dataclasses
from typing import Any

from hwsim.arch.board import RESOURCES
from lamforge.flow.fit import Fit
from lamforge.flow.rtl import Verilog
from lamforge.flow.synth import LEVELS_LIMIT, LOADS_LIMIT, Synthesis, Timing

__all__ = ["synthesis_document", "verilog_document"]


def synthesis_document(found: Synthesis) -> dict[str, Any]:
    """Return what `lamforge synth --json` prints."""
    ranking = found.ranking
    return {
        "engine": found.engine.name,
        "engine_digest": found.engine.digest,
        "board": found.board.name,
        "part": found.board.part.value,
        "tool": found.tool,
        "is_quick": found.is_quick,
        "parts": [{"unit": part.unit, "name": part.name, "count": part.count, **part.resources} for part in found.parts],
        "total": found.total,
        "device": found.device,
        "budget": found.budget,
        "slrs": [
            {
                "name": slr.name,
                "tiles": slr.tiles,
                **slr.used,
                "free": dict(slr.free),
                "shares": slr.shares,
                "fill": {name: found.board.fill.value.share(name) for name in RESOURCES},
            }
            for slr in found.slrs
        ],
        "crossings": None
        if found.crossings is None
        else [
            {
                "boundary": f"{each.lower}-{each.upper}",
                "wires": each.wires,
                "lines": each.lines,
                "limit": each.limit,
                "share": each.share,
                "by_driver": dict(each.by_driver),
            }
            for each in found.crossings
        ],
        "over": found.over,
        "ranking": None if ranking is None else {"device": ranking.device, "mhz": ranking.mhz, **ranking.cells},
        "timing": None if found.timing is None else _timing(found.timing),
        "synthesis_s": found.synthesis_s,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "clock_hz": timing.clock_hz,
        "part": timing.part,
        "levels": timing.levels,
        "levels_limit": LEVELS_LIMIT,
        "loads": timing.loads,
        "loads_limit": LOADS_LIMIT,
        "reset_data_loads": timing.reset_data_loads,
        "broken_paths": len(timing.broken_paths),
        "broken_nets": len(timing.broken_nets),
        "units": {name: dataclasses.asdict(unit) for name, unit in timing.units.items()},
        "paths": [
            {
                "unit": path.unit,
                "module": path.module,
                "from": path.start,
                "to": path.end,
                "levels": path.levels,
                "carry": path.carries,
                "cells_ns": path.cells_ns,
                "delay_ns": path.delay_ns,
                "slack_ns": path.slack_ns,
            }
            for path in timing.paths
        ],
        "nets": [dataclasses.asdict(net) for net in timing.nets],
    }


def verilog_document(written: Verilog) -> dict[str, Any]:
    """Return what was written, for which board it was packaged, and what it takes of that board."""
    return {
        "engine": written.engine.name,
        "engine_digest": written.engine.digest,
        "folder": str(written.folder),
        "top": written.top,
        "files": list(written.files),
        "lines": written.line_count,
        "lint": "clean" if written.is_linted else None,
        "generate_s": written.generate_s,
        "board": written.board,
        "package": list(written.package),
        "fit": None if written.fit is None else _fit(written.fit),
    }


def _fit(found: Fit) -> dict[str, Any]:
    """Return what `lamforge synth --quick --json` prints, with the wires between SLRs and the most power."""
    most = found.most
    return {
        **synthesis_document(found.synthesis),
        "most_power": None if most is None else {"card_w": most.card_w, "watts": most.watts, "assumed_share": most.assumed_share},
    }
