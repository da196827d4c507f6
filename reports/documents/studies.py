"""What `lamforge study bench`, `accuracy`, `window` and `resources` find as plain values; other studies are plain themselves."""

import dataclasses
from typing import Any

from lamforge.explore.accuracy import PATHS
from lamforge.explore.measuring import Measured
from lamforge.flow.provenance import provenance
from reports.studies.bench import Figures
from reports.studies.resources import ResourceStudy
from reports.studies.window import WindowStudy

__all__ = ["bench_document", "measured_document", "resources_document", "window_document"]


def bench_document(found: Figures) -> dict[str, Any]:
    """Return what `lamforge study bench --json` prints."""
    return dataclasses.asdict(found) | {
        "simulator_cycles_per_s": found.simulator_cycles_per_s,
        "verilator_cycles_per_s": found.verilator_cycles_per_s,
        "ratio": found.ratio,
        "workload": [dataclasses.asdict(each) | {"cycles_per_s": each.cycles_per_s} for each in found.workload],
        "provenance": dataclasses.asdict(provenance()),
    }


def measured_document(found: Measured) -> dict[str, Any]:
    """Return what `lamforge study accuracy --json` prints: the table as its file has it, with what follows from each row."""
    table = dataclasses.asdict(found.table)
    rows = [
        dataclasses.asdict(row)
        | {"perplexity": row.perplexity, "interval": list(found.intervals[row.key]), "pass_keys": found.table.share(row)}
        for row in found.table.rows
    ]
    return {
        "file": str(found.file),
        "new_rows": found.new_rows,
        "unmeasured": [dict(zip(PATHS, key, strict=True)) for key in found.unmeasured],
        **table,
        "rows": rows,
    }


def window_document(found: WindowStudy) -> dict[str, Any]:
    """Return what `lamforge study window --json` prints."""
    return {"answer": found.answer, "details": list(found.details), **dataclasses.asdict(found)}


def resources_document(found: ResourceStudy) -> dict[str, Any]:
    """Return what `lamforge study resources --json` prints."""
    parts = [
        {"part": part, "runs": count, "fields": list(found.dependent[part]), "is_contradicted": part in found.contradicted}
        for part, count in found.runs.items()
    ]
    return {
        "folder": str(found.output),
        "tool": found.origin.tool,
        "amaranth": found.origin.amaranth,
        "date": found.origin.date,
        "seed": found.origin.seed,
        "engines": found.engines,
        "apart": found.apart,
        "off": {name: dataclasses.asdict(each) for name, each in found.off.items()},
        "parts": parts,
    }
