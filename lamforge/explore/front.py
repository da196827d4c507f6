"""The best points: those that no other is better than in every respect, and why the rest are not among them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["Contradiction", "Rejection", "Tally", "best", "best_of_each", "front", "front_of_each", "ranked_front"]

_BLOCK = 512


def front(values: np.ndarray) -> np.ndarray:
    """Return which rows of `values` [points, objectives] no other row dominates; larger is better.

    A row dominates another when it is nowhere smaller and somewhere larger; equal rows stay together. Rows with NaN are left out.
    """
    points = np.flatnonzero(~np.isnan(values).any(axis=1))
    # Equal rows once; of different ones, in this order, only an earlier row can dominate a later one. Zeros have one sign.
    rows, inverse = np.unique(-values[points] + 0.0, axis=0, return_inverse=True)
    kept = np.zeros((0, values.shape[1]))
    is_kept = np.zeros(len(rows), dtype=bool)
    for first in range(0, len(rows), _BLOCK):
        block = np.arange(first, min(len(rows), first + _BLOCK))
        block = block[~_covered(rows[block], kept).any(axis=1)]
        block = block[_covered(rows[block], rows[block]).sum(axis=1) == 1]
        kept = np.concatenate([kept, rows[block]])
        is_kept[block] = True
    found = np.zeros(len(values), dtype=bool)
    found[points] = is_kept[inverse.reshape(-1)]
    return found


def _covered(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return [rows, others]: which of the others is nowhere larger than a row."""
    found = np.ones((len(rows), len(others)), dtype=bool)
    for column in range(rows.shape[1]):
        found &= others[None, :, column] <= rows[:, column, None]
    return found


def front_of_each(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return which rows of `values` [points, objectives] no other row of the same group [points] dominates."""
    found = np.zeros(len(values), dtype=bool)
    for places in _members(groups):
        found[places] = front(values[places])
    return found


def best_of_each(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return the rows that stand first in their group, `count` of each, in ascending order."""
    found = [places[best(values[places], count)] for places in _members(groups)]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *found]))


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """Return the places of each group in ascending order, the groups in theirs."""
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(order, ends) if order.size else []


def ranked_front(values: np.ndarray, are_met: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return which rows of `values` are on the front of their group, of those that are met.

    They are places: those of the first group first, and of one group the best in the first objective first.
    """
    places = np.flatnonzero(are_met)
    ranked = _ranked(values, places[front_of_each(values[places], groups[places])])
    found: np.ndarray = ranked[np.argsort(groups[ranked], kind="stable")]
    return found


def _ranked(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return places in the order of the rows there: by the first objective, of equal ones by the next."""
    ranked: np.ndarray = places[np.lexsort(-values[places].T[::-1])]
    return ranked


def best(values: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of `values` [points, objectives] that stand first, `count` or all there are, in ascending order.

    Fronts come one after the other, each the front of what those before leave; the last is cut by the objectives in their order.
    """
    left = np.flatnonzero(~np.isnan(values).any(axis=1))
    taken: list[np.ndarray] = []
    missing = count
    while missing > 0 and left.size:
        is_front = front(values[left])
        found = _ranked(values, left[is_front])[:missing]
        taken.append(found)
        missing -= len(found)
        left = left[~is_front]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *taken]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejection:
    """What a constraint rejects.

    Attributes:
        constraint: what must hold.
        points: points that do not meet it.
        alone: those of them that meet everything else.
        least: by how much of the bound the nearest of those misses it; None where there is none, or it cannot be said.
    """

    constraint: str
    points: int
    alone: int
    least: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Two constraints that no point meets together, though some meet each."""

    first: str
    second: str


class Tally:
    """Counts, block by block, which constraints reject how many points."""

    def __init__(self, constraints: Sequence[str]):
        self._names = tuple(constraints)
        size = len(self._names)
        self._points, self._alone = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self._least = np.full(size, np.inf)
        self._together = np.zeros((size, size), dtype=bool)
        self.nearest: tuple[float, int] = (np.inf, -1)
        """Of the points that something rejects, the least of the largest excesses, and the point."""

    def add(self, points: np.ndarray, excess: np.ndarray) -> np.ndarray:
        """Take a block, and return which of its points meet everything.

        excess: [points, constraints]: by how much of its bound a point misses it, where it is above 0; NaN where that is not known.
        """
        is_broken = excess > 0
        broken = is_broken.sum(axis=1)
        self._points += is_broken.sum(axis=0)
        is_alone = is_broken & (broken == 1)[:, None]
        self._alone += is_alone.sum(axis=0)
        self._least = np.minimum(self._least, np.where(is_alone, excess, np.inf).min(axis=0, initial=np.inf))
        met = (~is_broken).astype(np.float32)
        self._together |= met.T @ met > 0
        if broken.any():
            worst = np.where(is_broken, excess, -np.inf).max(axis=1)
            worst[broken == 0] = np.inf
            place = int(worst.argmin())
            self.nearest = min(self.nearest, (float(worst[place]), int(points[place])))
        return broken == 0

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The constraints that reject points, those first that reject the most."""
        found = [
            Rejection(
                constraint=name,
                points=int(self._points[index]),
                alone=int(self._alone[index]),
                least=float(self._least[index]) if np.isfinite(self._least[index]) else None,
            )
            for index, name in enumerate(self._names)
            if self._points[index]
        ]
        return tuple(sorted(found, key=lambda each: -each.points))

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """The pairs that contradict one another, in the order of the constraints."""
        return tuple(self._contradictions())

    def _contradictions(self) -> Iterator[Contradiction]:
        for one, other in itertools.combinations(range(len(self._names)), 2):
            if self._together[one, one] and self._together[other, other] and not self._together[one, other]:
                yield Contradiction(first=self._names[one], second=self._names[other])
