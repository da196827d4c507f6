"""Knows how an evaluation reads on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamforge.flow.contestants import FLOAT
from reports.text.tables import aligned

__all__ = ["evaluation_text", "interval_text", "shown_name"]

_WORST = 8
Document = Mapping[str, Any]


def evaluation_text(document: Document) -> str:
    """Return everything that was measured, a paragraph each."""
    parts = [_perplexities(document)]
    if "stream" in document:
        parts.append(_stream(document))
    for key, title in (("passkey", "passkey"), ("hard_needle", "hard-needle")):
        if key in document:
            parts.append(_retrieval(document, key, title))
    if "layers" in document:
        parts.append(_layers(document))
    return "\n\n".join(parts)


def shown_name(name: str, document: Document) -> str:
    """Return what a model is called, its attention included."""
    return f"float, {document['attention']}" if name == FLOAT else name


def interval_text(ends: Sequence[float] | None, digits: int = 3) -> str:
    """Return a confidence interval in brackets; nothing for none."""
    return "" if ends is None else f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _perplexities(document: Document) -> str:
    rows = []
    for name, entry in document["measured"].items():
        ratios = [
            f"x {found['ratio']:.3f}{interval_text(found['ratio_interval'])} of {shown_name(found['to'], document)}"
            for found in document["comparisons"]
            if found["of"] == name
        ]
        rows.append((shown_name(name, document), "   ".join([f"{entry['perplexity']:.3f}", *ratios])))
    counts = f"{document['tokens']:,} tokens in {document['windows']} windows of {document['window']:,}"
    lines = [f"perplexity on {document['text']}: {counts}", aligned(rows)]
    if document["comparisons"] and document["windows"] > 1:
        interval = document["interval"]
        lines.append(f"{interval['confidence']:.0%} intervals: {interval['method']}")
    if document["note"]:
        lines.append(document["note"])
    return "\n".join(lines)


def _stream(document: Document) -> str:
    measured = document["stream"]
    names = list(measured["nll"])
    head = ("positions", *(shown_name(name, document) for name in names))
    rows = [
        (f"{start:,} to {stop - 1:,}", *(f"{measured['nll'][name][index]:.3f}" for name in names))
        for index, (start, stop) in enumerate(measured["positions"])
    ]
    title = f"negative log-likelihood of a token, by position in one text of {measured['tokens']:,} tokens"
    return f"{title}\n{_columns([head, *rows])}"


def _retrieval(document: Document, key: str, title: str) -> str:
    found = document[key]
    lengths = sorted({row["length"] for row in found["tasks"]})
    head = (title, "within", "beyond", *(f"{length:,}" for length in lengths))
    rows = []
    for name, right in found["right"].items():
        cells = [f"{share['right']}/{share['tasks']}" if share["tasks"] else "-" for share in (right["within"], right["beyond"])]
        for length in lengths:
            mine = [row["answers"][name]["is_right"] for row in found["tasks"] if row["length"] == length]
            cells.append(f"{sum(mine)}/{len(mine)}")
        rows.append((shown_name(name, document), *cells))
    note = f"right answers; within and beyond what {document['attention']} reads at once, then by tokens of the prompt"
    return f"{_columns([head, *rows])}\n{note}; seed {found['seed']}"


def _layers(document: Document) -> str:
    worst = sorted(document["layers"], key=lambda entry: -float(entry["own"]))[:_WORST]
    rows = [(entry["name"], f"{entry['own']:.3f}", f"{entry['accumulated']:.3f}", f"{entry['stream']:.3f}") for entry in worst]
    title = f"the {len(worst)} worst of {len(document['layers'])} halves of layers, by the relative error of their update"
    return f"{title}\n{_columns([('half', 'own', 'accumulated', 'stream'), *rows])}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Return lines of a first column and right-aligned ones."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
