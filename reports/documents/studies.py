"""What `lamforge study bench` finds as plain values; the other studies are plain themselves."""

import dataclasses
from typing import Any

from lamforge.flow.provenance import provenance
from reports.studies.bench import Figures

__all__ = ["bench_document"]


def bench_document(found: Figures) -> dict[str, Any]:
    """Return what `lamforge study bench --json` prints."""
    return dataclasses.asdict(found) | {
        "simulator_cycles_per_s": found.simulator_cycles_per_s,
        "verilator_cycles_per_s": found.verilator_cycles_per_s,
        "ratio": found.ratio,
        "workload": [dataclasses.asdict(each) | {"cycles_per_s": each.cycles_per_s} for each in found.workload],
        "provenance": dataclasses.asdict(provenance()),
    }
