"""Where the stages of a distillation find each other's files, and how a result's report is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hwsim.whole_files import whole_file

__all__ = ["PREPARED", "SAMPLED", "WORK", "write_report"]

WORK = Path("build/distill")
"""The folder when none is named."""
PREPARED = "prepared"
"""Below it: parts that `prepare` wrote."""
SAMPLED = "sampled"
"""Below it: text that `sample` let the teacher write."""


def write_report(report: Mapping[str, object], folder: Path) -> None:
    """Write what a training says of itself beside the parts of its result, as `report.json`."""
    with whole_file(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
