"""The resources of engines without synthesis: each part as Yosys synthesized it, or fitted to the runs of it that are kept."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hwsim.arch.board import RESOURCES
from hwsim.errors import SpecError
from lamforge.flow.resources.runs import PARTS, PartRun, kept, part_runs
from lamforge.flow.resources.terms import COPIES, FIELDS, TERMS, Fields, copies_of

__all__ = ["Part", "Parts", "ResourceModel", "distinct", "resource_model", "with_keys"]

_KEYS: Mapping[str, tuple[str, ...]] = {
    "matrix/slice": ("nibble_rows", "lane_bits", "mixed_lanes", "small_rows"),
    "matrix/drain": ("drain_words", "lanes"),
}
"""Parts that depend on fields through these terms alone, but for a few look-up tables."""
_ADDED = {"matrix/slice": "small_rows"}
"""Parts of which a key adds circuits beside those that are there without it."""
_WHOLE = ("bram36", "uram", "dsp")
"""Resources that come in few pieces: where they are fitted, they are rounded to halves of one."""
_RUNS_A_VALUE = 2
"""Runs for each combination of keys, in the mean, that it takes to believe that other keys do not matter."""
_SLIGHT = 0.02
"""Runs weigh by the share that they are off, of at least this part of the largest."""
_MOST_STEPS = 20_000

Parts = Mapping[str, Mapping[str, np.ndarray]]
"""Resources by part and by name of the resource, all copies of a part together; arrays that broadcast to [engines]."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Law:
    """How much of one resource one copy of a part takes.

    Attributes:
        keys: fields or terms that decide it; none where it is constant.
        known: by values of the keys, as it was synthesized.
        added: by the last key, what it adds to an entry of `known` where it is 0; empty where it is none that adds.
        fitted: coefficients by products of terms, for other values; of no terms a constant.
        is_whole: whether it comes in few pieces.
    """

    keys: tuple[str, ...]
    known: Mapping[tuple[int, ...], float]
    added: Mapping[int, float]
    fitted: Mapping[tuple[str, ...], float]
    is_whole: bool

    def of(self, fields: Fields) -> np.ndarray:
        """Return it for engines, as an array that broadcasts to them."""
        if not self.keys:
            return np.array(next(iter(self.known.values())))
        columns = [np.asarray(_value(key, fields)) for key in self.keys]
        shape = np.broadcast_shapes(*(column.shape for column in columns))
        keys = np.stack([np.broadcast_to(column, shape).ravel() for column in columns]).astype(np.int64)
        first, inverse = distinct(keys)
        values = np.array([self._known(tuple(row)) for row in keys[:, first].T.tolist()])
        found: np.ndarray = values[inverse].reshape(shape)
        if not np.isnan(found).any():
            return found
        paths = {path for names in self.fitted for name in names for path in TERMS[name].fields}
        whole = np.broadcast_shapes(shape, *(np.shape(fields[path]) for path in paths))
        found = np.broadcast_to(found, whole).copy()
        unseen = np.isnan(found)
        found[unseen] = self._fitted({path: np.broadcast_to(fields[path], whole)[unseen] for path in paths}, int(unseen.sum()))
        return found

    def _known(self, key: tuple[int, ...]) -> float:
        if key in self.known:
            return self.known[key]
        return self.known.get((*key[:-1], 0), np.nan) + self.added.get(key[-1], np.nan)

    def _fitted(self, fields: Fields, count: int) -> np.ndarray:
        total = np.zeros(count)
        for names, coefficient in self.fitted.items():
            total = total + coefficient * np.prod([TERMS[name].value(fields) for name in names], axis=0)
        return np.round(2 * total) / 2 if self.is_whole else np.round(total)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A part: how many an engine has, of COPIES, and the laws of one copy in the order of RESOURCES."""

    name: str
    copies: str
    laws: tuple[Law, ...]

    def of(self, fields: Fields) -> Mapping[str, np.ndarray]:
        """Return the resources of all copies."""
        copies = copies_of(self.copies, fields)
        return {name: copies * law.of(fields) for name, law in zip(RESOURCES, self.laws, strict=True)}


class ResourceModel:
    """The resources of engines as arrays, part by part.

    Raises:
        SpecError: the runs do not tell what a part is.
    """

    def __init__(self, runs: Sequence[PartRun]):
        self.every = tuple(_part(name, list(group)) for name, group in itertools.groupby(runs, key=lambda run: run.part))

    def parts(self, fields: Fields) -> Parts:
        """Return what each part takes of RESOURCES."""
        return {part.name: part.of(fields) for part in self.every}

    def total(self, fields: Fields) -> Mapping[str, np.ndarray]:
        """Return what engines take of RESOURCES, as arrays that broadcast to [engines]."""
        parts = self.parts(fields).values()
        return {name: np.sum(np.broadcast_arrays(*(part[name] for part in parts)), axis=0) for name in RESOURCES}


@functools.cache
def resource_model() -> ResourceModel:
    """Return the model of the circuit's parts, fitted to the runs beside this file."""
    return ResourceModel(part_runs(kept(PARTS)))


def with_keys(part: str, fields: Iterable[str]) -> tuple[str, ...]:
    """Return fields that a part depends on, and those that its keys are computed of, in the order of FIELDS."""
    keys = {path for key in _KEYS.get(part, ()) for path in TERMS[key].fields}
    return tuple(path for path in FIELDS if path in keys.union(fields))


def distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct column of keys [keys, engines] stands first, and the number of the one of each engine."""
    codes = np.zeros(keys.shape[1], dtype=np.int64)
    for values in keys:
        codes = codes * (int(values.max()) + 1) + values
        if codes.max() > 1 << 30:
            codes = np.unique(codes, return_inverse=True)[1]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def _value(key: str, fields: Fields) -> np.ndarray:
    return TERMS[key].value(fields) if key in TERMS else fields[key]


def _part(name: str, runs: Sequence[PartRun]) -> Part:
    copies = {run.copies for run in runs}
    paths = {tuple(run.fields) for run in runs}
    if len(copies) > 1 or len(paths) > 1 or not copies <= set(COPIES):
        raise SpecError(f"Runs of {name} must have one number of copies, of {', '.join(COPIES)}, and the same fields")
    columns = {path: np.array([run.fields[path] for run in runs]) for path in paths.pop()}
    keys = _KEYS.get(name, tuple(columns))
    rows = np.stack([_value(key, columns) for key in keys], axis=1).astype(np.int64) if keys else np.zeros((len(runs), 0), np.int64)
    basis = _basis(columns, len(runs))
    values = np.array([run.resources for run in runs])
    laws = [_law(name, resource, keys, rows, values[:, index], basis) for index, resource in enumerate(RESOURCES)]
    return Part(name=name, copies=copies.pop(), laws=tuple(laws))


def _law(
    name: str,
    resource: str,
    keys: tuple[str, ...],
    rows: np.ndarray,
    values: np.ndarray,
    basis: Mapping[tuple[str, ...], np.ndarray],
) -> Law:
    """Return the law of runs with these values of the keys, rows [runs, keys]."""
    places = _deciding(rows, values)
    known = _largest(rows[:, places], values)
    added: dict[int, list[float]] = {}
    if _ADDED.get(name) in [keys[place] for place in places]:
        for key, value in known.items():
            if key[-1] and (*key[:-1], 0) in known:
                added.setdefault(key[-1], []).append(value - known[*key[:-1], 0])
    return Law(
        keys=tuple(keys[place] for place in places),
        known=known,
        added={key: float(np.median(each)) for key, each in added.items()},
        fitted=_fit(basis, values),
        is_whole=resource in _WHOLE,
    )


def _largest(rows: np.ndarray, values: np.ndarray) -> Mapping[tuple[int, ...], float]:
    """Return values by rows; of runs that differ by what the keys leave out, the largest."""
    known: dict[tuple[int, ...], float] = {}
    for row, value in zip(rows.tolist(), values.tolist(), strict=True):
        known[tuple(row)] = max(known.get(tuple(row), value), value)
    return known


def _deciding(rows: np.ndarray, values: np.ndarray) -> list[int]:
    """Return the places of the keys that decide the values: no fewer do, and runs enough say so."""
    places = list(range(rows.shape[1]))
    for place in list(places):
        fewer = [each for each in places if each != place]
        groups = np.unique(rows[:, fewer], axis=0, return_inverse=True)[1].ravel() if fewer else np.zeros(len(rows), int)
        count = int(groups.max()) + 1
        highest, lowest = np.full(count, -np.inf), np.full(count, np.inf)
        np.maximum.at(highest, groups, values)
        np.minimum.at(lowest, groups, values)
        if (highest == lowest).all() and count * _RUNS_A_VALUE <= len(rows):
            places = fewer
    return places


def _basis(columns: Fields, count: int) -> Mapping[tuple[str, ...], np.ndarray]:
    """Return the products of up to two terms of the fields, as arrays [runs], by their names."""
    terms = {name: term.value(columns) for name, term in TERMS.items() if set(term.fields) <= set(columns)}
    found: dict[tuple[str, ...], np.ndarray] = {(): np.ones(count)}
    for size in (1, 2):
        for names in itertools.combinations_with_replacement(terms, size):
            found[names] = np.prod([terms[name] for name in names], axis=0).astype(np.float64)
    return found


def _fit(basis: Mapping[tuple[str, ...], np.ndarray], values: np.ndarray) -> Mapping[tuple[str, ...], float]:
    """Return coefficients of 0 or more, few of them above, with least squares of the shares that values are off."""
    if (values == values[0]).all():
        return {(): float(values[0])}
    from scipy.optimize import nnls

    weights = 1 / np.maximum(values, values.max() * _SLIGHT)
    matrix = np.stack(list(basis.values()), axis=1)
    scale = matrix.max(axis=0)
    scale[scale == 0] = 1
    found, _ = nnls(matrix / scale * weights[:, None], values * weights, maxiter=_MOST_STEPS)
    return {names: float(each) for names, each in zip(basis, found / scale, strict=True) if each > 0}
