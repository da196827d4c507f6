"""Knows how the validation of the energy estimate reads on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.text.tables import aligned, watts_text

__all__ = ["validation_text"]

_HEAD = ("system", "of the", "token/s", "ours W", "theirs W", "error", "ours token/J", "theirs token/J")


def validation_text(document: Mapping[str, Any]) -> str:
    """Return a table of published systems, the parts of each estimate, and the assumed numbers."""
    rows = [_HEAD, *(_cells(row) for row in document["rows"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    details = [
        (
            row["system"],
            f"chip {row['chip_w']:.1f} W, card {row['card_w']:.1f} W ({watts_text(row['watts'])});"
            f" {row['assumed_share']:.0%} on assumed numbers; assumed of the system: {', '.join(row['assumed_facts'])}",
        )
        for row in document["rows"]
    ]
    constants = document["constants"]
    assumed = ", ".join(f"{name} {entry['value']:g}" for name, entry in constants.items() if entry["kind"] == "assumed")
    details.append(("assumed", f"{assumed}; of {len(constants)} constants, none of them fitted"))
    return "\n".join(lines) + "\n" + aligned(details)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["system"],
        row["scope"],
        f"{row['token_per_s']:.0f}",
        f"{row['ours_w']:.1f}",
        f"{row['theirs_w']:.1f}",
        f"{row['error']:+.0%}",
        f"{row['ours_token_per_j']:.2f}",
        f"{row['theirs_token_per_j']:.2f}",
    )
