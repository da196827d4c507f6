"""Knows everything `lamforge evaluate` can measure of a model, as one document."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import SpecError, shown
from models.evaluation import evaluation_text
from models.evaluation.layers import layer_errors
from models.evaluation.needles import needle_tasks
from models.evaluation.passkey import DEPTHS, passkey_tasks
from models.evaluation.retrieval import Answer, Task, answer
from models.evaluation.shared import each
from models.evaluation.stream import Bucket, check_length, stream
from models.evaluation.windows import windows
from models.integer.threads import one_each
from reports.accuracy import Progress, Text, accuracy
from reports.contestants import Contestants
from reports.provenance import provenance

__all__ = ["Measures", "chosen_text", "evaluation", "lengths_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measures:
    """What is measured beside perplexity.

    Attributes:
        stream: tokens of one long text read at a stretch; None leaves it out.
        has_layers: whether the halves of layers are compared, on the first window of the text.
        passkey, needles: lengths of the tasks in tokens; none leaves them out.
        trials: tasks of each length and depth.
        seed: of the tasks.
    """

    stream: int | None = None
    has_layers: bool = False
    passkey: Sequence[int] = ()
    needles: Sequence[int] = ()
    trials: int = 2
    seed: int = 0


def chosen_text(path: Path | None, *, window: int, windows: int | None) -> Text:
    """Return the text in a file, or the shipped one."""
    if path is None:
        return Text(name="the shipped text", content=evaluation_text(), window=window, windows=windows)
    return Text.read(path, window=window, windows=windows)


def lengths_of(text: str | None) -> tuple[int, ...]:
    """Return the lengths that `200,900` spells; none for None.

    Raises:
        SpecError: it spells something else.
    """
    parts = [] if text is None else text.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise SpecError(f"Lengths must be whole numbers between commas, such as 200,900, not {shown(text)}")
    return tuple(dict.fromkeys(int(part) for part in parts))


def evaluation(models: Contestants, text: Text, measures: Measures, progress: Progress | None = None) -> dict[str, Any]:
    """Return what was measured, as plain values; what was not asked for has no key.

    Raises:
        SpecError: the text is too short for what is asked, or the layers of a float model are asked for.
    """
    tokenizer = models.tokenizer
    tokens = tokenizer.encode(text.content)
    windows(tokens, length=text.window, max_windows=text.windows)
    # Everything that can be refused is, before the first of it is measured.
    if measures.stream is not None:
        check_length(tokens, measures.stream)
    if measures.has_layers and (models.integers is None or models.reference is None):
        raise SpecError("Layers must be those of a compressed model with its source at hand to be compared, not of one model alone")
    sought = {"trials": measures.trials, "seed": measures.seed}
    tasks = {
        "passkey": passkey_tasks(tokenizer, text.content, lengths=measures.passkey, depths=DEPTHS, **sought),
        "hard_needle": needle_tasks(tokenizer, lengths=measures.needles, **sought) if measures.needles else [],
    }
    document = accuracy(models, text, progress).document()
    if measures.stream is not None:
        document["stream"] = _streams(models, tokens, measures.stream, progress)
    for name, asked in tasks.items():
        if asked:
            document[name] = _retrieval(models, asked, measures, name.replace("_", "-"), progress)
    if measures.has_layers and models.reference is not None and models.integers is not None:
        told = None if progress is None else lambda fraction: progress("layers", fraction)
        with one_each():
            found = layer_errors(models.reference, models.integers, tokens[: text.window], told)
        document["layers"] = [dataclasses.asdict(entry) for entry in found]
    return document | {"provenance": provenance()}


def _streams(models: Contestants, tokens: Sequence[int], length: int, progress: Progress | None) -> dict[str, Any]:
    """Return the likelihood of the tokens of one long text by position."""
    def read(name: str) -> list[Bucket]:
        told = None if progress is None else lambda fraction: progress(f"stream, {name}", fraction)
        return stream(models.predictors[name], tokens, length=length, told=told)

    names = list(models.predictors)
    measured = dict(zip(names, each(read, names), strict=True))
    first = next(iter(measured.values()))
    return {
        "tokens": length,
        "positions": [[bucket.start, bucket.stop] for bucket in first],
        "nll": {name: [bucket.nll for bucket in buckets] for name, buckets in measured.items()},
    }


def _retrieval(
    models: Contestants, tasks: Sequence[Task], measures: Measures, kind: str, progress: Progress | None
) -> dict[str, Any]:
    """Return what each model answered to each task, and the shares of right answers."""
    rows: list[dict[str, Any]] = [
        {
            "length": task.length,
            "depth": task.depth,
            "prompt_tokens": len(task.prompt),
            "is_within": task.is_within(models.pattern),
            "answers": {},
        }
        for task in tasks
    ]
    for name, predictor in models.predictors.items():

        def told(found: list[Answer], name: str = name) -> None:
            rows[len(found) - 1]["answers"][name] = dataclasses.asdict(found[-1])
            if progress is not None:
                progress(f"{kind}, {name}", len(found) / len(tasks))

        each(functools.partial(answer, predictor), tasks, told)
    return {
        "trials": measures.trials,
        "seed": measures.seed,
        "tasks": rows,
        "right": {
            name: {
                where: _share([row["answers"][name]["is_right"] for row in rows if row["is_within"] is is_within])
                for where, is_within in (("within", True), ("beyond", False))
            }
            for name in models.predictors
        },
    }


def _share(right: Sequence[bool]) -> dict[str, Any]:
    return {"right": sum(right), "tasks": len(right), "share": sum(right) / len(right) if right else None}
