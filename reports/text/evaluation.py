"""Accuracies and evaluations as tables."""

from collections.abc import Sequence

from lamforge.flow.accuracy import CONFIDENCE, METHOD, Accuracy
from lamforge.flow.evaluate import Evaluation, Retrieval, Stream
from reports.text.table import table

__all__ = ["accuracy_line", "evaluation_text"]

_WORST = 8


def accuracy_line(found: Accuracy) -> str:
    """Return perplexities in one line."""
    parts = [f"perplexity {found.own.perplexity:.2f} in integers with {found.pattern}"]
    if found.same is not None:
        parts.append(f"{found.same.perplexity:.2f} float with the same (ratio {found.ratio:.3f})")
    if found.dense is not None:
        parts.append(f"{found.dense.perplexity:.2f} float and dense")
    return f"{', '.join(parts)}; {found.own.tokens:,} tokens"


def evaluation_text(found: Evaluation) -> str:
    """Return everything that was measured, a paragraph each."""
    parts = [_perplexities(found.accuracy)]
    if found.stream is not None:
        parts.append(_stream(found.stream, found.accuracy))
    for title, retrieval in (("passkey", found.passkey), ("hard-needle", found.needles)):
        if retrieval is not None:
            parts.append(_retrieval(retrieval, found.accuracy, title))
    if found.layers is not None:
        parts.append(_layers(found))
    return "\n\n".join(parts)


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]"


def _perplexities(found: Accuracy) -> str:
    rows = []
    for name, entry in found.measured.items():
        ratios = [
            f"x {difference.ratio:.3f}{_interval(difference.ratio_interval)} of {found.shown_name(other)}"
            for (of, other), difference in found.differences.items()
            if of == name
        ]
        rows.append((found.shown_name(name), "   ".join([f"{entry.perplexity:.3f}", *ratios])))
    counts = f"{found.own.tokens:,} tokens in {found.own.windows} windows of {found.text.window:,}"
    lines = [f"perplexity on {found.text.name}: {counts}", table(rows)]
    if found.differences and found.own.windows > 1:
        lines.append(f"{CONFIDENCE:.0%} intervals: {METHOD}")
    if found.note:
        lines.append(found.note)
    return "\n".join(lines)


def _stream(found: Stream, accuracy: Accuracy) -> str:
    head = ("positions", *map(accuracy.shown_name, found.buckets))
    rows = [
        (f"{start:,} to {stop - 1:,}", *(f"{buckets[index].nll:.3f}" for buckets in found.buckets.values()))
        for index, (start, stop) in enumerate(found.spans)
    ]
    title = f"negative log-likelihood of a token, by position in one text of {found.tokens:,} tokens"
    return f"{title}\n{table(rows, head=head, right=range(1, len(head)))}"


def _retrieval(found: Retrieval, accuracy: Accuracy, title: str) -> str:
    within, beyond = (found.chosen(is_within=is_within) for is_within in (True, False))
    by_length = [found.chosen(length=length) for length in found.lengths]
    head = (title, "within", "beyond", *(f"{length:,}" for length in found.lengths))
    rows = []
    for name in found.names:
        groups = (within, beyond, *by_length)
        cells = [f"{found.right(name, trials)}/{len(trials)}" if trials else "-" for trials in groups]
        rows.append((accuracy.shown_name(name), *cells))
    note = f"right answers; within and beyond what {accuracy.pattern} reads at once, then by tokens of the prompt"
    return f"{table(rows, head=head, right=range(1, len(head)))}\n{note}; seed {found.seed}"


def _layers(found: Evaluation) -> str:
    worst = found.worst_layers(_WORST)
    rows = [(entry.name, f"{entry.own:.3f}", f"{entry.accumulated:.3f}", f"{entry.stream:.3f}") for entry in worst]
    count = len(found.layers or ())
    title = f"the {len(worst)} worst of {count} halves of layers, by the relative error of their update"
    return f"{title}\n{table(rows, head=('half', 'own', 'accumulated', 'stream'), right=range(1, 4))}"
