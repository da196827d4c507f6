"""How small a cache of sinks and recent tokens may be: measured accuracy beside simulated speed, and the answer in a sentence.

`lamforge study window --pages docs/studies` explores the study `window` and writes the page and its rows.
"""

from __future__ import annotations

import csv
import dataclasses
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from hwsim import plain
from hwsim.arch.doc_pages import table
from hwsim.whole_files import write_text
from lamforge.explore.accuracy import PATHS, Accuracies, Key, Row, load_accuracies
from lamforge.explore.exploration import ExploreRequest, run
from lamforge.explore.measuring import interval, scored
from lamforge.explore.space import Space
from lamforge.explore.store import EXACT, Store
from lamforge.explore.study import Study, load_study
from lamforge.flow.verb import SILENT, Listener
from models.evaluation.perplexity import difference

__all__ = ["NAME", "WindowRow", "WindowStudy", "cells", "csv_text", "page", "read_csv", "study", "write_pages"]

NAME = "window"
"""The study."""
_FOUND = "found."


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowRow:
    """One model with one cache.

    Attributes:
        model: name in the table of accuracies.
        sinks, context: tokens that are kept for good, and all that the cache keeps.
        perplexity: measured; low, high: ends of its confidence interval.
        ratio: of the perplexity to the best of this model; ratio_low, ratio_high: ends of the interval of the paired difference.
        found: pass keys that were found, by length of the prompt.
        token_per_s, token_per_joule, bytes_per_token: simulated to the cycle.
    """

    model: str
    sinks: int
    context: int
    perplexity: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    found: tuple[int, ...]
    token_per_s: float
    token_per_joule: float
    bytes_per_token: float

    @property
    def is_lossless(self) -> bool:
        """Whether its perplexity is not measurably above the best of the model."""
        return self.ratio_low <= 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowStudy:
    """What the study found.

    Attributes:
        network, engine: of the study.
        windows, window: windows of the text, and tokens of each.
        lengths, tried: tokens of the prompts that hide pass keys, and prompts of each length.
        rows: one a model and cache.
        unmeasured: caches of models that the study has and the table does not.
    """

    network: str
    engine: str
    windows: int
    window: int
    lengths: tuple[int, ...]
    tried: int
    rows: tuple[WindowRow, ...]
    unmeasured: int

    @classmethod
    def of_rows(cls, asked: Study, accuracies: Accuracies, rows: tuple[WindowRow, ...], *, unmeasured: int) -> Self:
        """Return rows of a study with what its table of accuracies measured."""
        return cls(
            network=str(asked.base["network"]),
            engine=str(asked.base["engine"]),
            windows=accuracies.text.windows,
            window=accuracies.text.window,
            lengths=accuracies.pass_keys.lengths,
            tried=accuracies.pass_keys.tried,
            rows=rows,
            unmeasured=unmeasured,
        )

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the columns of `cells`."""
        keys = (f"pass keys of {self.tried}, {length} tokens" for length in self.lengths)
        return ("model", "cache", "sinks", "perplexity", "of the model's best", *keys, "token/s", "token/J", "MB a token")

    def of(self, model: str) -> tuple[WindowRow, ...]:
        """Return the rows of a model, the smallest cache first."""
        return tuple(sorted((row for row in self.rows if row.model == model), key=lambda row: (row.context, row.sinks)))

    def best(self, model: str) -> WindowRow:
        """Return the row of a model with the lowest perplexity; of equal ones, the smallest cache."""
        return min(self.of(model), key=lambda row: row.perplexity)

    def lossless(self, model: str) -> WindowRow:
        """Return the smallest cache of a model whose perplexity is not measurably above its best, with the fewest sinks."""
        return next(row for row in self.of(model) if row.is_lossless)

    def retrieving(self, model: str) -> WindowRow:
        """Return the smallest cache of a model that finds the most pass keys, with the fewest sinks."""
        return max(self.of(model), key=lambda row: sum(row.found))

    @property
    def answer(self) -> str:
        """The answer: for each model the smallest cache that loses nothing measurable, and what the next smaller one costs."""
        told = " and ".join(f"{model} keeps {self._answered(model)}" for model in self.models)
        return f"With the smallest cache that loses nothing measurable in perplexity, {told}."

    @property
    def details(self) -> tuple[str, ...]:
        """More on each model, a sentence each: how good that cache is, and what the largest one brings."""
        return tuple(map(self._detailed, self.models))

    def _answered(self, model: str) -> str:
        fine = self.lossless(model)
        smaller = max((row.context for row in self.of(model) if row.context < fine.context), default=None)
        if smaller is None:
            return f"{_cache(fine)} (no smaller one was looked at)"
        row = self._best_of(model, smaller)
        return f"{_cache(fine)} ({_times(fine)} the lowest perplexity; {_cache(row)}, cost {_times(row)} for {_gains(row, fine)})"

    def _detailed(self, model: str) -> str:
        fine, keys = self.lossless(model), self.retrieving(model)
        found, most = sum(fine.found), sum(keys.found)
        how = "the lowest" if fine == self.best(model) else f"{_times(fine)} the lowest, with {_cache(self.best(model))}"
        told = f"{model} has perplexity {fine.perplexity:.2f} then, {how};"
        told += f" it finds {found} of {len(self.lengths) * self.tried} pass keys"
        told += ", as many as with any cache" if found == most else f", and {most} with {_cache(keys)}"
        row = self._best_of(model, max(each.context for each in self.of(model)))
        if row.context == fine.context:
            return f"{told}."
        return f"{told}. {_cache(row)}, give {_times(row)} the lowest perplexity, {sum(row.found)} pass keys, {_gains(row, fine)}."

    def _best_of(self, model: str, context: int) -> WindowRow:
        """Return the row of a model with the lowest perplexity among the caches of a size."""
        return min((row for row in self.of(model) if row.context == context), key=lambda row: row.perplexity)


def _gains(row: WindowRow, other: WindowRow) -> str:
    speed, energy = row.token_per_s / other.token_per_s - 1, row.token_per_joule / other.token_per_joule - 1
    return f"{speed:+.1%} token/s and {energy:+.1%} token/J"


def study(listener: Listener = SILENT) -> WindowStudy:
    """Explore the study, and return what its exact points and its table say."""
    asked = load_study(NAME)
    accuracies = load_accuracies(str(asked.accuracy))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / NAME
        found = run(ExploreRequest(asked, output=folder), listener)
        points = pa.concat_tables(Store(folder=folder, code="").parts(EXACT)).sort_by("point").to_pylist()
    space, rows = Space(asked), accuracies.by_key
    measured = [(rows[_key(space, point["point"])], point) for point in points if not point["rejected_by"]]
    best = {model: min((row for row, _ in measured if row.model == model), key=_perplexity) for model in _models(measured)}
    shown = tuple(_row(accuracies, row, best[row.model], point) for row, point in measured)
    return WindowStudy.of_rows(asked, accuracies, shown, unmeasured=sum(found.unmeasured.values()))


def _models(measured: Iterable[tuple[Row, object]]) -> list[str]:
    return list(dict.fromkeys(row.model for row, _ in measured))


def _perplexity(row: Row) -> float:
    return row.perplexity


def _key(space: Space, point: int) -> Key:
    layers, head, cache, sinks, window = (space.columns(np.array(point))[path].item() for path in PATHS)
    return layers, head, cache, sinks, window


def _row(accuracies: Accuracies, row: Row, best: Row, point: Mapping[str, float]) -> WindowRow:
    own = scored(row, accuracies)
    low, high = interval(own)
    apart = difference(own, scored(best, accuracies))
    assert apart.ratio_interval is not None
    return WindowRow(
        model=row.model,
        sinks=row.sinks,
        context=row.sinks + row.window,
        perplexity=own.perplexity,
        low=low,
        high=high,
        ratio=apart.ratio,
        ratio_low=apart.ratio_interval[0],
        ratio_high=apart.ratio_interval[1],
        found=row.found,
        token_per_s=point["token_per_s"],
        token_per_joule=point["token_per_joule"],
        bytes_per_token=point["bytes_per_token"],
    )


def cells(row: WindowRow) -> tuple[str, ...]:
    """Return a row as the cells of a table."""
    return (
        row.model,
        f"{row.context:,}",
        str(row.sinks),
        f"{row.perplexity:.2f} [{row.low:.2f}, {row.high:.2f}]",
        f"{row.ratio:.3f} [{row.ratio_low:.3f}, {row.ratio_high:.3f}]",
        *map(str, row.found),
        f"{row.token_per_s:,.0f}",
        f"{row.token_per_joule:.1f}",
        f"{row.bytes_per_token / 1e6:.1f}",
    )


def _cache(row: WindowRow) -> str:
    sinks = "none of them sinks" if not row.sinks else f"{row.sinks} of them {'a sink' if row.sinks == 1 else 'sinks'}"
    return f"{row.context:,} tokens, {sinks}"


def _times(row: WindowRow) -> str:
    return f"x {row.ratio:.3f} [{row.ratio_low:.3f}, {row.ratio_high:.3f}]"


def csv_text(found: WindowStudy) -> str:
    """Return the rows as CSV, pass keys by length in columns of their own."""
    names = [field.name for field in dataclasses.fields(WindowRow) if field.name != "found"]
    head = [*names, *(f"{_FOUND}{length}" for length in found.lengths)]
    return plain.csv_text([head, *([*(getattr(row, name) for name in names), *row.found] for row in found.rows)])


def read_csv(text: str) -> tuple[WindowRow, ...]:
    """Return the rows that `csv_text` wrote."""
    return tuple(
        WindowRow(
            model=line["model"],
            sinks=int(line["sinks"]),
            context=int(line["context"]),
            perplexity=float(line["perplexity"]),
            low=float(line["low"]),
            high=float(line["high"]),
            ratio=float(line["ratio"]),
            ratio_low=float(line["ratio_low"]),
            ratio_high=float(line["ratio_high"]),
            found=tuple(int(value) for name, value in line.items() if name.startswith(_FOUND)),
            token_per_s=float(line["token_per_s"]),
            token_per_joule=float(line["token_per_joule"]),
            bytes_per_token=float(line["bytes_per_token"]),
        )
        for line in csv.DictReader(text.splitlines())
    )


def page(found: WindowStudy) -> str:
    """Return the page as Markdown: the answer, the rows, and how they are made again."""
    parts = [
        "# Study window",
        found.answer,
        *found.details,
        f"`{found.network}` on `{found.engine}`. Perplexity and pass keys are measured in the engine's integers, on"
        f" {found.windows} windows of {found.window:,} tokens of the shipped text and {found.tried} prompts of each length"
        f" ({' and '.join(map(str, found.lengths))} tokens); token/s, token/J and bytes are simulated to the cycle with a full"
        " cache. A cache keeps its sinks, the first tokens of a text, and the most recent ones. Weights are the same in all rows of"
        " a model: that with 2 bits was trained with 4 sinks and 252 recent tokens.",
        "Brackets are 95 % intervals, Student's t over the windows; those of ratios are of the differences within each window. A"
        " cache *loses nothing measurable* where the interval of its perplexity, divided by the lowest of the model, reaches down"
        " to 1. It says nothing of other texts or longer ones: a cache that keeps a whole window is dense attention here. Prompts"
        f" are few: where none of {found.tried} keys is found, the share may still be up to {1 - 0.025 ** (1 / found.tried):.2f}.",
        table(found.head, [cells(row) for model in found.models for row in found.of(model)]),
        *([f"{found.unmeasured} points of the study were not measured."] if found.unmeasured else []),
        "Made again by `lamforge study accuracy window`, which measures what [the table](../../lamforge/explore/accuracies) does"
        " not have, and `lamforge study window --pages docs/studies`. The rows are in [window.csv](window.csv);"
        f" `lamforge explore {NAME} -o OUT` has them with everything else that the simulation says.",
    ]
    return "\n\n".join(parts) + "\n"


def write_pages(found: WindowStudy, folder: Path) -> None:
    """Write window.md and window.csv into a folder; raise SpecError where they cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{NAME}.csv", csv_text(found))
    write_text(folder / f"{NAME}.md", page(found))
