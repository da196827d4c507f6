"""Knows the estimates of offloading beside every published figure there is, and how that reads on a terminal."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from reports.studies.validation import SETS
from reports.studies.validation.constants import Constant, derived_constants
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["OffloadValidation", "offload_text", "validate_offload"]

_HEAD = ("case", "ours", "theirs", "unit", "error", "fitted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffloadValidation:
    """Every set with its rows, and the constants behind them that come from rows."""

    sets: tuple[tuple[ValidationSet, tuple[Row, ...]], ...]
    constants: tuple[Constant, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the result as plain values: the sets with their largest error, and the rows of all."""
        return {
            "sets": [
                {
                    "name": kind.name,
                    "title": kind.title,
                    "rows": len(rows),
                    "fitted": sum(row.fitted for row in rows),
                    "largest_error": max((row.error for row in rows), key=abs),
                    "median_error": statistics.median(abs(row.error) for row in rows),
                }
                for kind, rows in self.sets
            ],
            "constants": [dataclasses.asdict(constant) for constant in self.constants],
            "rows": [dataclasses.asdict(row) | {"error": row.error} for _, rows in self.sets for row in rows],
        }


def validate_offload() -> OffloadValidation:
    """Return ours beside every published figure; raise SpecError when a device file is wrong."""
    return OffloadValidation(sets=tuple((kind, kind.rows()) for kind in SETS), constants=derived_constants())


def offload_text(document: Mapping[str, Any]) -> str:
    """Return a table for each set, with its largest and its median error."""
    parts = []
    for kind in document["sets"]:
        rows = [row for row in document["rows"] if row["set"] == kind["name"]]
        lines = [_HEAD, *(_cells(row) for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
        table = ["  ".join(_placed(line, widths)).rstrip() for line in lines]
        assumed = sorted({name for row in rows for name in row["assumed"]})
        summary = (
            f"{kind['name']}: {kind['title']}; {kind['rows']} rows, {kind['fitted']} of them fitted;"
            f" error at most {abs(kind['largest_error']):.1%}, {kind['median_error']:.1%} in the median"
        )
        parts.append("\n".join([summary, *([f"assumed: {', '.join(assumed)}"] if assumed else []), *table]))
    if document["constants"]:
        named = [f"{constant['name']} = {constant['value']}: {constant['source']}" for constant in document["constants"]]
        parts.append("\n".join(["constants that are derived, the calibrated ones with the rows they come from:", *named]))
    return "\n\n".join(parts)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    figures = (f"{row['ours']:.4g}", f"{row['published']:.4g}", row["unit"], f"{row['error']:+.1%}")
    return (row["case"], *figures, "yes" if row["fitted"] else "")


def _placed(line: tuple[str, ...], widths: list[int]) -> list[str]:
    """Return the cells, texts to the left and figures to the right."""
    return [
        cell.rjust(width) if head in ("ours", "theirs", "error") else cell.ljust(width)
        for head, cell, width in zip(_HEAD, line, widths, strict=True)
    ]
