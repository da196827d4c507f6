"""What the demo found as plain values: its summary.json."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lamforge.flow.compress import parameters
from reports.documents.circuit import verilog_document
from reports.documents.evaluation import accuracy_document
from reports.documents.model import compression_document, reply_document
from reports.documents.programs import programs_document
from reports.documents.timing import timing_document
from reports.documents.verdict import verdict_document
from reports.studies.demo_summary import DemoSummary, RecipeResult

__all__ = ["demo_document"]


def demo_document(found: DemoSummary) -> dict[str, Any]:
    """Return everything that the demo found; without a second recipe there is no key `second`."""
    checkpoint, first, second = found.checkpoint, found.first, found.second
    runs = {"decode": first.decode, "prefill": found.prefill, "workload": found.workload}
    return {
        "steps": [dataclasses.asdict(step) for step in found.steps],
        "checkpoint": {
            "name": checkpoint.config.name,
            "parameters": parameters(checkpoint),
            "source": Path(checkpoint.source).name,
            "digest": checkpoint.digest,
        },
        **_recipe(first),
        "simulation": {name: timing_document(timing) for name, timing in runs.items()},
        "verilog": {name: verilog_document(each) | {"folder": f"verilog/{name}"} for name, each in found.verilog.items()},
        "cosim": verdict_document(found.verdict),
        **({} if second is None else {"second": _recipe(second) | {"decode": timing_document(second.decode)}}),
        "provenance": dataclasses.asdict(found.provenance),
    }


def _recipe(found: RecipeResult) -> dict[str, Any]:
    return {
        "model": compression_document(found.compression) | {"compress_s": found.compress_s},
        "accuracy": accuracy_document(found.accuracy),
        "program": programs_document(found.programs) | {"compile_s": found.compile_s},
        "generation": reply_document(found.reply),
    }
