"""Knows how answers and comparisons read on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reports.text.tables import aligned

__all__ = ["answer_text", "comparison_text", "figure_text", "search_text", "tokens_text"]

Document = Mapping[str, Any]

_SHOWN = 6
"""Contexts of a comparison that a terminal has room for."""
_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def answer_text(document: Document) -> str:
    """Return what a system does with a workload."""
    work = f"{document['model']}, {document['prompt']:,.0f} + {document['generated']:,.0f} tokens, batch {document['batch']:,.0f}"
    cost = document["usd_per_million_tokens"]
    devices = f"{document['price_usd']:,.0f} USD of devices" if cost is not None else ""
    price = f", {devices}: {cost:,.2f} USD a million tokens over three years" if cost is not None else ""
    whole, between = (figure_text(document[name]) for name in ("tokens_per_s", "decode_tokens_per_s"))
    moved = {phase: _parts(document[phase]["moved_bytes"], _size) for phase in ("prefill", "step")}
    rows = [
        ("system", document["title"]),
        ("work", work),
        ("first token", f"{_time(document['first_token_s'])}: {_parts(document['prefill']['charged_s'], _time)}"),
        ("token", f"{_time(document['step_s'])}: {_parts(document['step']['charged_s'], _time)}"),
        ("binding", f"{document['binding']['step']} in a step, {document['binding']['prefill']} in the prompt"),
        ("speed", f"{whole} token/s in all, {between} between tokens"),
        ("moved", f"{moved['prefill']} for the prompt; {moved['step']} a step"),
        ("energy", f"{figure_text(document['joules_per_token'])} J a token{price}"),
        ("room", "; ".join(map(_tier, document["tiers"]))),
        ("assumed", f"{document['assumed_share']:.0%} of {_count(document)} numbers behind this"),
    ]
    if not document["fits"]:
        rows.insert(2, ("does not fit", "; ".join(_tier(tier) for tier in document["tiers"] if tier["over_bytes"])))
    return aligned(rows)


def comparison_text(document: Document) -> str:
    """Return tokens per second over contexts, what binds, and where systems change places."""
    crossed = [f"{tokens_text(each['context'])}: {each['after']} overtakes {each['before']}" for each in document["crossovers"]]
    batches = document["batches"]
    batch = f"batch {batches[0]}" if len(batches) == 1 else f"each in the best batch of {batches[0]} to {batches[-1]}"
    lead = f"{document['model']}, {document['generated']} tokens generated, {batch}"
    if "at" in document:
        shown = [f"{lead}, after {document['at']['contexts'][0]:,.0f} tokens of prompt", "", *_closely(document["at"]["lines"])]
    else:
        shown = [f"{lead}; what binds behind each figure", "", *_over_contexts(document)]
    return "\n".join([*shown, "", *(crossed or ["Nothing changes places."])])


def search_text(document: Document) -> str:
    """Return the best placement and what it does."""
    shares = [
        (name, f"{place['gpu']:.2f} % GPU, {place['host']:.2f} % host, {place['drive']:.2f} % drive")
        for name, place in document["placement"].items()
    ]
    batches = f"{document['batches']} of {document['batch_size']}, {'host' if document['has_host_attention'] else 'GPU'} attends"
    return "\n".join([aligned([*shares, ("batches", batches)]), answer_text(document["answer"])])


def tokens_text(tokens: float) -> str:
    """Return a number of tokens as people say it: 4K, 128K, 1M."""
    thousands = tokens / 1024
    if thousands < 1:
        return f"{tokens:.0f}"
    return f"{thousands:.3g}K" if thousands < 1000 else f"{thousands / 1024:.3g}M"


def _over_contexts(document: Document) -> list[str]:
    places = _places(len(document["contexts"]))
    head = ["token/s", *(tokens_text(document["contexts"][place]) for place in places)]
    return _table([head, *([line["system"], *(_cell(line, place) for place in places)] for line in document["lines"])])


def _closely(lines: Sequence[Document]) -> list[str]:
    """Return everything of one context, the fastest first; what has no room comes last."""
    head = ["system", "token/s", "batch", "first token", "token", "J a token", "USD a million", "binding"]
    rows = []
    for line in sorted(lines, key=lambda line: -(line["tokens_per_s"][0] or 0.0)):
        if line["tokens_per_s"][0] is None:
            rows.append([line["system"], "no room", *[""] * 6])
            continue
        cost = line["usd_per_million_tokens"][0]
        rows.append(
            [
                line["system"],
                figure_text(line["tokens_per_s"][0]),
                f"{line['batch'][0]:.0f}",
                _time(line["first_token_s"][0]),
                _time(line["step_s"][0]),
                figure_text(line["joules_per_token"][0]),
                "" if cost is None else figure_text(cost),
                line["binding"][0],
            ]
        )
    return _table([head, *rows])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _places(count: int) -> list[int]:
    shown = min(count, _SHOWN)
    return sorted({round(index * (count - 1) / max(1, shown - 1)) for index in range(shown)})


def _cell(line: Document, place: int) -> str:
    rate = line["tokens_per_s"][place]
    return "no room" if rate is None else f"{figure_text(rate)} {line['binding'][place]}"


def _parts(values: Mapping[str, float], shown: Callable[[float], str]) -> str:
    listed = [f"{name} {shown(value)}" for name, value in list(values.items())[:4]]
    return ", ".join(listed) or "nothing"


def _tier(tier: Document) -> str:
    use = f"{tier['name']} {_size(tier['used_bytes'])} of {_size(tier['capacity_bytes'])}"
    return f"{use}, over by {_size(tier['over_bytes'])}" if tier["over_bytes"] else use


def _count(document: Document) -> int:
    return round(len(document["assumed"]) / document["assumed_share"]) if document["assumed_share"] else 0


def _time(seconds: float) -> str:
    scale, unit = next((entry for entry in _SCALES if seconds >= entry[0]), _SCALES[-1])
    return f"{figure_text(seconds / scale)} {unit}"


def _size(count: float) -> str:
    scale, unit = next((entry for entry in _SIZES if count >= entry[0]), (1.0, "B"))
    return f"{figure_text(count / scale)} {unit}"


def figure_text(value: float) -> str:
    """Return a number with as many digits as a reader takes in."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
