"""Written Verilog, an engine's resources, and what co-simulations and boards were found to compute, as plain values."""

import dataclasses
from typing import Any

from lamforge.flow.board import BoardVerdict
from lamforge.flow.cosim import Verdict
from lamforge.flow.rtl import Verilog
from lamforge.flow.synth import Synthesis

__all__ = ["board_document", "synthesis_document", "verdict_document", "verilog_document"]

_SUMS = ("mismatches", "compared", "cycle_difference", "instructions_compared", "cycles", "verilator_cycles_per_s")
_MORE = ("simulator_s", "build_s", "first", "engine")


def synthesis_document(found: Synthesis) -> dict[str, Any]:
    """Return what `lamforge synth --json` prints."""
    ranking = found.ranking
    return {
        "engine": found.engine.name,
        "engine_digest": found.engine.digest,
        "board": found.board.name,
        "part": found.board.part.value,
        "tool": found.tool,
        "parts": [{"unit": part.unit, "name": part.name, "count": part.count, **part.resources} for part in found.parts],
        "total": found.total,
        "device": found.device,
        "budget": found.budget,
        "slrs": [{"name": slr.name, "tiles": slr.tiles, **slr.used, "free": dict(slr.free)} for slr in found.slrs],
        "over": found.over,
        "ranking": None if ranking is None else {"device": ranking.device, "mhz": ranking.mhz, **ranking.cells},
        "synthesis_s": found.synthesis_s,
    }


def verilog_document(written: Verilog) -> dict[str, Any]:
    """Return what was written, and for which board it was packaged."""
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
    }


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return the sums over all cases, and the cases."""
    result = verdict.result
    return {
        **{name: getattr(result, name) for name in _SUMS + _MORE},
        "cases": [dataclasses.asdict(case) for case in result.cases],
        "model": verdict.model,
        "is_equal": verdict.is_equal,
        "texts": [
            {
                "name": case.name,
                "tokens": len(case.tokens),
                "position": case.position,
                "ring_wraps": verdict.ring_wraps(case.position),
            }
            for case in verdict.cases
        ],
    }


def board_document(verdict: BoardVerdict) -> dict[str, Any]:
    """Return the check of a board."""
    return {
        **dataclasses.asdict(verdict.check),
        "model": verdict.model,
        "board": verdict.index,
        "is_equal": verdict.is_equal,
        "clock_hz": verdict.clock_hz,
    }
