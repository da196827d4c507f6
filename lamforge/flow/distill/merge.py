"""One result of two trainings, of which the second began as the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lamforge.flow.distill.train import write_report
from lamforge.flow.verb import SILENT, Listener, verb

__all__ = ["MergeRequest", "MergedResult", "merge", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """Two results to mix by layers.

    Attributes:
        first: shipped training, or folder of a result, which the second began as.
        second: folder of the result that went on from the first.
        output: folder to write the mixed result into.
        from_layer: the first layer that is the second's; those below are the first's.
    """

    first: str
    second: Path
    output: Path
    from_layer: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergedResult:
    """Folder of a mixed result, and its files with their sizes in bytes."""

    folder: Path
    parts: Mapping[Path, int]


def run(request: MergeRequest, listener: Listener = SILENT) -> MergedResult:
    """Write the result that has the first layers of one training and the others of one that went on from it.

    Raises:
        SpecError: the second did not begin as the first, or one of them is left without layers.
    """
    from models.distill import shipped
    from models.distill.result import merge as merge_results
    from models.distill.result import read_result

    first, from_layer, output = shipped.locate(request.first), request.from_layer, request.output
    paths = merge_results(first, request.second, output, from_layer=from_layer)
    write_report(read_result(output).report, output)
    listener.say(f"layers 0 to {from_layer - 1} of {request.first}, the others of {request.second}")
    return MergedResult(folder=output, parts={path: path.stat().st_size for path in paths})


merge = verb("distill.merge", MergeRequest, run)
