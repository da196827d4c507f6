"""What the demo found as plain values: its summary.json."""

import dataclasses
from pathlib import Path
from typing import Any

from lamforge.flow.compress import parameters
from reports.documents.circuit import verilog_document
from reports.documents.evaluation import accuracy_document
from reports.documents.model import compression_document, reply_document
from reports.documents.programs import programs_document, timing_document
from reports.documents.verdict import verdict_document
from reports.studies.demo_summary import DemoSummary, RecipeResult

__all__ = ["demo_document"]


def demo_document(found: DemoSummary) -> dict[str, Any]:
    """Return everything that the demo found; without a second recipe there is no key `second`."""
    checkpoint = found.checkpoint
    runs = {"decode": found.decode, "prefill": found.prefill, "workload": found.workload}
    second = {}
    if found.second is not None:
        by_another, decode = found.second
        second = {"second": _recipe(by_another) | {"decode": timing_document(decode)}}
    return {
        "steps": [dataclasses.asdict(step) for step in found.steps],
        "checkpoint": {
            "name": checkpoint.config.name,
            "parameters": parameters(checkpoint),
            "source": Path(checkpoint.source).name,
            "digest": checkpoint.digest,
        },
        **_recipe(found.first),
        "simulation": {name: timing_document(timing) for name, timing in runs.items()},
        "verilog": {name: verilog_document(each) | {"folder": f"verilog/{name}"} for name, each in found.verilog.items()},
        "cosim": verdict_document(found.verdict),
        **second,
        "provenance": dataclasses.asdict(found.provenance),
    }


def _recipe(found: RecipeResult) -> dict[str, Any]:
    model = compression_document(found.compression)
    # Places are those below the folder of the demo.
    del model["folder"]
    return {
        "model": model | {"compress_s": found.compress_s},
        "accuracy": accuracy_document(found.accuracy),
        "program": programs_document(found.programs) | {"compile_s": found.compile_s},
        "generation": reply_document(found.reply),
    }
