"""The best points: those that no other is better than in every respect, and why the rest are not among them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["Contradiction", "Rejection", "Tally", "best", "front"]

_BLOCK = 512


def front(values: np.ndarray) -> np.ndarray:
    """Return which rows of `values` [points, objectives] no other row dominates; larger is better.

    A row dominates another when it is nowhere smaller and somewhere larger; equal rows stay together. Rows with NaN are left out.
    """
    points = np.flatnonzero(~np.isnan(values).any(axis=1))
    # In this order only an earlier row can dominate a later one.
    order = points[np.lexsort(-values[points].T[::-1])]
    kept = np.zeros((0, values.shape[1]))
    found = np.zeros(len(values), dtype=bool)
    for first in range(0, len(order), _BLOCK):
        block = order[first : first + _BLOCK]
        block = block[~_dominated(values[block], kept)]
        block = block[~_dominated(values[block], values[block])]
        kept = np.concatenate([kept, values[block]])
        found[block] = True
    return found


def _dominated(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which rows of `values` a row of `others` dominates."""
    found = np.zeros(len(values), dtype=bool)
    for first in range(0, len(others), _BLOCK):
        part = others[None, first : first + _BLOCK]
        is_nowhere_smaller = np.logical_and.reduce(part >= values[:, None], axis=2)
        is_somewhere_larger = np.logical_or.reduce(part > values[:, None], axis=2)
        found |= np.logical_or.reduce(is_nowhere_smaller & is_somewhere_larger, axis=1)
    return found


def best(values: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of `values` [points, objectives] that stand first, `count` or all there are, in ascending order.

    Fronts come one after the other, each the front of what those before leave; the last is cut by the objectives in their order.
    """
    left = np.flatnonzero(~np.isnan(values).any(axis=1))
    taken: list[np.ndarray] = []
    missing = count
    while missing > 0 and left.size:
        is_front = front(values[left])
        found = left[is_front]
        found = found[np.lexsort(-values[found].T[::-1])][:missing]
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
