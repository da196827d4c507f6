"""Tables of measured accuracy: what each model scored with its formats and its attention, and what a study takes from them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import shlex
from collections.abc import Mapping
from typing import Annotated

import numpy as np

from hwsim.errors import SpecError, shown
from hwsim.reader import Limits, Matching, OneOf, SpecFiles, read
from models.recipes.file import CACHES
from models.recipes.options import FORMATS

__all__ = [
    "FILES",
    "MEASURED",
    "PATHS",
    "Accuracies",
    "Key",
    "PassKeys",
    "Row",
    "Scored",
    "TextPart",
    "accuracies_text",
    "load_accuracies",
    "missing_text",
]

FILES = SpecFiles("Accuracy", "accuracies", SpecError, package="lamforge.explore")
"""The tables that ship."""
PATHS = ("layers.format", "head.format", "cache.format", "attention.sinks", "attention.window")
"""Paths of a design whose values, with its network, choose a row; nothing else of a design changes a bit of a model's results."""
MEASURED = ("pass_keys", "perplexity")
"""Metrics that are measured."""

_MOST_MISSING = 3
"""Missing measurements that are told."""

Key = tuple[str, str, str, int, int]
"""Values of PATHS."""

_WEIGHTS, _CACHES = tuple(FORMATS), tuple(CACHES)
_DIGEST = Matching("[0-9a-f]{64}", "a hexadecimal SHA-256")
_SHORT = Matching("[0-9a-f]{16}", "the first 16 digits of a hexadecimal SHA-256")
DEPTHS = 5
"""Depths at which prompts hide their pass key (models.evaluation.passkey.DEPTHS)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """A model that the table is of: a checkpoint with the recipe that compresses it, or the folder of a compressed one."""

    name: str
    """What the rows call it."""
    checkpoint: str | None = None
    """Shipped name or path of the checkpoint."""
    recipe: str | None = None
    """Recipe by name or file."""
    folder: str | None = None
    """Folder of a compressed model, in place of both."""

    def __post_init__(self) -> None:
        is_made = self.checkpoint is not None and self.recipe is not None
        is_half = (self.checkpoint is None) != (self.recipe is None)
        if is_half or is_made == (self.folder is not None):
            raise SpecError("Model of accuracies must have a checkpoint and a recipe, or a folder alone, not anything else")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPart:
    """The text that is predicted."""

    file: str | None = None
    """Text file; without it the shipped text."""
    window: Annotated[int, Limits(2, 1 << 24)] = 1024
    """Tokens of a window; each starts from an empty cache."""
    windows: Annotated[int, Limits(2, 1 << 16)] = 6
    """Full windows, evenly spaced over the text."""
    sha256: Annotated[str, _DIGEST] | None = None
    """Digest of the text; written with the first row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PassKeys:
    """The prompts that hide pass keys, one for each length, depth and trial."""

    lengths: tuple[Annotated[int, Limits(2, 1 << 24)], ...] = (220, 900)
    """Tokens of a prompt."""
    trials: Annotated[int, Limits(1, 1 << 16)] = 1
    """Prompts of each length and depth."""
    seed: Annotated[int, Limits(0, (1 << 32) - 1)] = 0
    """Of the prompts."""

    @property
    def tried(self) -> int:
        """Prompts of each length."""
        return DEPTHS * self.trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What one model scored with one attention."""

    model: str
    """Name of the model, one of `models`."""
    layers: Annotated[str, OneOf(_WEIGHTS)]
    """Weight format of the layers."""
    head: Annotated[str, OneOf(_WEIGHTS)]
    """Weight format of the head."""
    cache: Annotated[str, OneOf(_CACHES)]
    """Format of keys and values."""
    sinks: Annotated[int, Limits(0, 1 << 20)]
    """First tokens that are kept for good."""
    window: Annotated[int, Limits(1, 1 << 24)]
    """Recent tokens that are kept."""
    nll: tuple[float, ...]
    """Negative log-likelihood of a token in nats, the mean of each window of the text."""
    found: tuple[int, ...]
    """Pass keys that were found, by length of the prompt."""
    fingerprint: Annotated[str, _SHORT]
    """First digits of the fingerprint of the model, as `compress` prints it: of its weights, formats and own attention."""
    code: Annotated[str, _SHORT]
    """First digits of the digest of the sources that decide the figures."""
    version: str
    """Version of Lamforge."""
    created: str
    """Time in UTC, ISO 8601."""

    @property
    def key(self) -> Key:
        """Values of PATHS."""
        return self.layers, self.head, self.cache, self.sinks, self.window

    @property
    def perplexity(self) -> float:
        """Perplexity of all windows, which are equally long."""
        return math.exp(math.fsum(self.nll) / len(self.nll))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracies:
    """A table of accuracies as its file has it: what is measured of which models, and the rows that were."""

    network: str
    """Network of all its models, by name or `config.json`."""
    models: tuple[Scored, ...]
    """What is measured."""
    text: TextPart = TextPart()
    pass_keys: PassKeys = PassKeys()
    rows: tuple[Row, ...] = ()
    """What was measured; `lamforge study accuracy` writes them."""

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        if len({*names}) < len(names):
            raise SpecError("Models of accuracies must have different names, not one name twice")
        keys: set[Key] = set()
        for row in self.rows:
            what = ", ".join(map(str, row.key))
            if row.model not in names:
                raise SpecError(f"Rows of accuracies must be of a model of the table, not of {shown(row.model)}")
            if len(row.nll) != self.text.windows or len(row.found) != len(self.pass_keys.lengths):
                raise SpecError(f"Rows of accuracies must have a value for each window and each length, not as that of {what}")
            if max(row.found) > self.pass_keys.tried:
                raise SpecError(
                    f"Rows of accuracies must have found at most {self.pass_keys.tried} of a length, not {max(row.found)}"
                )
            if row.key in keys:
                raise SpecError(f"Rows of accuracies must be one for each formats, sinks and window, not two of {what}")
            keys.add(row.key)
        if self.rows and self.text.sha256 is None:
            raise SpecError("Accuracies must have text.sha256, the digest of the text that their rows are of")

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of everything that it says."""
        return hashlib.sha256(accuracies_text(self).encode()).hexdigest()

    @functools.cached_property
    def by_key(self) -> Mapping[Key, Row]:
        """Rows by the values of PATHS."""
        return {row.key: row for row in self.rows}

    def share(self, row: Row) -> float:
        """Return the share of the pass keys that a row found."""
        return sum(row.found) / (self.pass_keys.tried * len(row.found))

    def figures(self, columns: Mapping[str, np.ndarray], count: int) -> tuple[dict[str, np.ndarray], dict[Key, np.ndarray]]:
        """Return the metrics of points, arrays [count], NaN where nothing was measured, and the places where, by what is missing.

        columns: values of PATHS as arrays that broadcast to [count].
        """
        codes, values = np.zeros(count, dtype=np.int64), []
        for path in PATHS:
            known, inverse = np.unique(np.broadcast_to(columns[path], (count,)), return_inverse=True)
            codes = codes * len(known) + inverse.reshape(-1)
            values.append(known.tolist())
        metrics = {name: np.full(count, np.nan) for name in MEASURED}
        missing: dict[Key, np.ndarray] = {}
        rows = self.by_key
        combinations, inverse = np.unique(codes, return_inverse=True)
        for index, code in enumerate(combinations.tolist()):
            places = np.unravel_index(code, tuple(map(len, values)))
            layers, head, cache, sinks, window = (each[int(place)] for each, place in zip(values, places, strict=True))
            key: Key = (layers, head, cache, sinks, window)
            here = np.flatnonzero(inverse.reshape(-1) == index)
            if key in rows:
                metrics["perplexity"][here] = rows[key].perplexity
                metrics["pass_keys"][here] = self.share(rows[key])
            else:
                missing[key] = here
        return metrics, missing


def load_accuracies(source: str) -> Accuracies:
    """Return a shipped table by name, or the one in a YAML file by path; raise SpecError that names every mistake."""
    return read(Accuracies, FILES.read(source), "Accuracy", SpecError)


def accuracies_text(table: Accuracies, comment: str = "") -> str:
    """Return a table as YAML, one row a line; what is read from it is the table again.

    comment: lines with `#` that stand before it.
    """

    def plain(value: object) -> str:
        return json.dumps({name: each for name, each in vars(value).items() if each is not None})

    lines = [f"network: {json.dumps(table.network)}", "models:", *(f"  - {plain(model)}" for model in table.models)]
    lines += [f"text: {plain(table.text)}", f"pass_keys: {plain(table.pass_keys)}"]
    if table.rows:
        lines += ["rows:", *(f"  - {plain(row)}" for row in table.rows)]
    return comment + "\n".join(lines) + "\n"


def missing_text(missing: Mapping[Key, int], study: str) -> str:
    """Return how many points were not measured, the first of what is missing, and the command that measures it.

    missing: points by the values of PATHS that have no row.
    study: name or file of the study.
    """
    first = [
        f"{layers} layers, {head} head, {cache}, {sinks} sinks, window {window}" for layers, head, cache, sinks, window in missing
    ]
    shown = "; ".join(first[:_MOST_MISSING])
    more = f"; and {len(first) - _MOST_MISSING} more" if len(first) > _MOST_MISSING else ""
    command = f"lamforge study accuracy {shlex.quote(study)}"
    return f"{sum(missing.values()):,} points were not measured ({shown}{more}): `{command}` measures"
