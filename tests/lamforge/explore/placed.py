"""A study of placements of few points that take milliseconds."""

from __future__ import annotations

from lamforge.explore.study import Study, study_of

__all__ = ["SYSTEMS", "document", "placed"]

SYSTEMS = ["gpu-a100", "zero-a100-host", "triforce-a100", "flexgen-a100-drive", "instinfer-sparf", "fpga-u280"]


def document(**changes: object) -> dict[str, object]:
    """Return the study as plain values."""
    axes = {
        "network": ["llama-2-7b", "llama-2-13b"],
        "placement.system": SYSTEMS,
        "placement.format": ["fp16", "w4a8kv4"],
        "placement.window": ["dense", 2048],
        "prompt": [4096, 65536, 262144],
        "batch": [1, 4, 32],
    }
    objectives = {"token_per_s": "maximize", "first_token_s": "minimize"}
    each = ["placement.format", "network", "prompt"]
    return {"name": "placed", "base": {"generate": 100}, "axes": axes, "for_each": each, "objectives": objectives} | changes


def placed(**changes: object) -> Study:
    """Return the study."""
    return study_of(document(**changes))
