"""Knows how to measure what a GPU model needs, and what it must then predict, on the GPU that is there.

Needs PyTorch alone: `python -m reports.studies.gpu_baseline -o FILE`. What it gave is in `results/`, a file for each GPU.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest

__all__ = ["RESULTS", "result"]

_FOLDER = resources.files(__name__) / "results"

RESULTS = tuple(sorted(file.name.removesuffix(".json") for file in _FOLDER.iterdir()))
"""Names of the GPUs that were measured."""


def result(name: str) -> dict[str, Any]:
    """Return what was measured on a GPU, rows by the name of their measurement; SpecError where none has the name."""
    if name not in RESULTS:
        raise SpecError(f"Measured GPU must be {nearest(name, RESULTS)}, not {shown(name)}")
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document
