"""What co-simulations and boards were found to compute, as plain values."""

import dataclasses
from typing import Any

from lamforge.flow.board import BoardVerdict
from lamforge.flow.cosim import Verdict

__all__ = ["board_document", "verdict_document"]

_SUMS = ("mismatches", "compared", "cycle_difference", "instructions_compared", "cycles", "verilator_cycles_per_s")
_MORE = ("simulator_s", "build_s", "first", "engine")


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
