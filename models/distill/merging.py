"""Merges two results: the first layers of one training and the remaining layers of another that went on from it.

What a training learns last may help one measure and hurt another. Layers of a training, and of one that went on from it, are near
enough to each other to be mixed without further training.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hwsim.errors import SpecError
from models import matrices
from models.distill import arrays
from models.distill.result import PART_BYTES, STEM, read_result
from models.matrices import layer_of

__all__ = ["merge"]

_OWN = ("settings", "source_digest", "report")
"""Entries of a result besides its layers and the last norm."""


def merge(first: Path, second: Path, folder: Path, *, from_layer: int) -> list[Path]:
    """Write the result that has the layers of `first` below `from_layer` and those of `second` from there on; return its parts.

    What comes after the layers is the second's, and so are its settings; its report says what was merged, and has no
    perplexity, since none was measured.

    Raises:
        SpecError: the second did not begin from the first, or `from_layer` leaves one of them without layers.
    """
    results = [read_result(each) for each in (first, second)]
    began = results[1].began
    if began != results[0].digest:
        raise SpecError(f"Second result must have begun from the first, {results[0].digest[:16]}, not from {str(began)[:16]}")
    layers = 1 + max(layer_of(name) for name in results[0].matrices)
    if not 0 < from_layer < layers:
        raise SpecError(f"Layer to merge from must be from 1 to {layers - 1}, not {from_layer}")
    one, other = (arrays.read(arrays.content(each, STEM), STEM) for each in (first, second))
    held: dict[str, np.ndarray] = {}
    for name, array in other.items():
        is_first = name not in _OWN and not name.startswith(matrices.FINAL_NORM) and layer_of(name) < from_layer
        held[name] = one[name] if is_first else array
    parts = {"from_layer": from_layer, "first": results[0].summary(), "second": results[1].summary()}
    report = {name: value for name, value in results[1].report.items() if name not in ("log", "perplexities", "start")}
    held["report"] = arrays.from_text(json.dumps(report | {"merged": parts}))
    return arrays.split(folder, STEM, held, limit=PART_BYTES)
