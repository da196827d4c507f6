"""Accuracies and evaluations as plain values."""

import dataclasses
from typing import Any

from lamforge.flow.accuracy import CONFIDENCE, METHOD, Accuracy
from lamforge.flow.evaluate import Evaluation, Retrieval

__all__ = ["accuracy_document", "evaluation_document"]


def accuracy_document(found: Accuracy) -> dict[str, Any]:
    """Return perplexities, what each is of the others, and on what text."""
    return {
        "model": found.model,
        "attention": found.pattern,
        "perplexity": found.own.perplexity,
        "float_perplexity": None if found.same is None else found.same.perplexity,
        "dense_perplexity": None if found.dense is None else found.dense.perplexity,
        "ratio": found.ratio,
        "dense_ratio": found.dense_ratio,
        "measured": {
            name: {"perplexity": entry.perplexity, "nll": entry.nll, "nll_sums": list(entry.sums)}
            for name, entry in found.measured.items()
        },
        "comparisons": [
            {
                "of": of,
                "to": to,
                "nll_difference": difference.nll,
                "nll_interval": difference.nll_interval,
                "ratio": difference.ratio,
                "ratio_interval": difference.ratio_interval,
            }
            for (of, to), difference in found.differences.items()
        ],
        "interval": {"method": METHOD, "confidence": CONFIDENCE, "windows": found.own.windows},
        "tokens": found.own.tokens,
        "window": found.text.window,
        "windows": found.own.windows,
        "text": found.text.name,
        "text_digest": found.text.digest,
        "note": found.note,
    }


def evaluation_document(found: Evaluation) -> dict[str, Any]:
    """Return everything that was measured; what was not asked for has no key."""
    document = accuracy_document(found.accuracy)
    if found.stream is not None:
        buckets = {name: [bucket.nll for bucket in each] for name, each in found.stream.buckets.items()}
        document["stream"] = {"tokens": found.stream.tokens, "positions": list(map(list, found.stream.spans)), "nll": buckets}
    for key, retrieval in (("passkey", found.passkey), ("hard_needle", found.needles)):
        if retrieval is not None:
            document[key] = _retrieval(retrieval)
    if found.layers is not None:
        document["layers"] = [dataclasses.asdict(entry) for entry in found.layers]
    return document | {"saturated": dict(found.saturated), "provenance": dataclasses.asdict(found.provenance)}


def _retrieval(found: Retrieval) -> dict[str, Any]:
    return {
        "trials": found.per_place,
        "seed": found.seed,
        "tasks": [
            {
                "length": trial.task.length,
                "depth": trial.task.depth,
                "prompt_tokens": len(trial.task.prompt),
                "is_within": trial.is_within,
                "answers": {name: dataclasses.asdict(answer) for name, answer in trial.answers.items()},
            }
            for trial in found.trials
        ],
        "right": {
            name: {where: _share(found, name, is_within=is_within) for where, is_within in (("within", True), ("beyond", False))}
            for name in found.names
        },
    }


def _share(found: Retrieval, name: str, *, is_within: bool) -> dict[str, Any]:
    trials = found.chosen(is_within=is_within)
    right = found.right(name, trials)
    return {"right": right, "tasks": len(trials), "share": right / len(trials) if trials else None}
