"""Which placement leads where: for every combination of values of `for_each`, with the smallest batch and with any."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping

import numpy as np

from lamforge.explore.axes import Value
from lamforge.explore.placement_axes import FORMAT, SETTINGS, SYSTEM, WINDOW
from lamforge.explore.rows import Block, Rows
from lamforge.explore.space import Space

__all__ = ["PLACEMENT", "Case", "Entry", "Leads", "View", "placement_name"]

PLACEMENT = (SYSTEM, FORMAT, WINDOW, SETTINGS)
"""Paths that say which placement a point has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """The best point of a placement by one objective.

    Attributes:
        name: the system, with its format, window and settings where the study varies them within a case: `gpu-a100:w4a8kv4`.
        system: the system as the study has it.
        kind: what holds and computes the model, such as `GPU and host`.
        binding: what most of a step is spent on.
        batch: sequences at once.
        values: of the axes, by path.
        metrics: by name.
    """

    name: str
    system: str
    kind: str
    binding: str
    batch: int
    values: Mapping[str, Value]
    metrics: Mapping[str, float]

    def figure(self, name: str) -> float:
        """Return a metric, or the number that a path has."""
        return self.metrics[name] if name in self.metrics else float(self.values[name])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One combination of values of `for_each`.

    Attributes:
        values: these, by path.
        entries: by the name of an objective, one of each placement that meets every constraint, the best first.
    """

    values: Mapping[str, Value]
    entries: Mapping[str, tuple[Entry, ...]]

    def leader(self, objective: str) -> Entry | None:
        """Return the entry that is best by an objective; None where nothing meets the constraints."""
        return next(iter(self.entries[objective]), None)

    def entry(self, objective: str, name: str) -> Entry | None:
        """Return the entry of a placement by its name; None where that does not meet the constraints."""
        return next((each for each in self.entries[objective] if each.name == name), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """All cases, with every placement in a batch that is chosen in one way.

    Attributes:
        batch: the one that all have; None where each has the one that is best by the objective.
        cases: in the order of the values in the study; also those that no placement answers.
    """

    batch: int | None
    cases: tuple[Case, ...]

    @property
    def name(self) -> str:
        """The batch in words."""
        return "the best batch" if self.batch is None else f"batch {self.batch}"


def placement_name(values: Mapping[str, Value], base: Mapping[str, Value], inner: Collection[str]) -> str:
    """Return the system of a point, with the format, window and settings of `inner`, the paths that vary within a case."""
    system = str(values.get(SYSTEM, base.get(SYSTEM)))
    style, window, settings = (values[path] if path in inner else "" for path in (FORMAT, WINDOW, SETTINGS))
    name = f"{system}:{style}:{window}".rstrip(":") if style or window else system
    return f"{name} {settings}".rstrip()


class Leads:
    """Keeps, of blocks of points one after the other, the best of each placement and case by each objective."""

    def __init__(self, space: Space, rows: Rows):
        self._space, self._rows = space, rows
        self._objectives = [each.name for each in space.study.objectives]
        self._inner = tuple(path for path in space.axes if path in PLACEMENT and path not in space.study.for_each)
        batches = {int(batch) for batch in space.axes.get("batch", (space.study.base.get("batch", 1),))}
        self._ways: tuple[int | None, ...] = (min(batches), None) if len(batches) > 1 else (min(batches),)
        if "batch" in space.study.for_each:
            self._ways = (None,)
        self._kept: dict[tuple[int | None, int], list[Block]] = {
            (way, place): [] for way in self._ways for place in range(len(self._objectives))
        }
        self._asked: set[int] = set()

    def add(self, block: Block) -> None:
        """Take a block, of which each point comes once."""
        self._asked.update(np.unique(self._space.groups(block.points)).tolist())
        met = block.taken(np.asarray(~(block.excess > 0).any(axis=1)))
        batch = np.broadcast_to(self._space.columns(met.points)["batch"], met.points.shape)
        for (way, place), kept in self._kept.items():
            every = Block.joined([*kept, met if way is None else met.taken(batch == way)])
            objective = self._rows.objectives(every)[:, place]
            every, objective = every.taken(~np.isnan(objective)), objective[~np.isnan(objective)]
            key = self._keys(every.points)
            order = np.lexsort((every.points, -objective, key))
            _, first = np.unique(key[order], return_index=True)
            self._kept[way, place] = [every.taken(order[first])]

    @property
    def views(self) -> tuple[View, ...]:
        """What was kept: with the smallest batch, where the study varies it, then with any."""
        return tuple(self._view(way) for way in self._ways)

    def _keys(self, points: np.ndarray) -> np.ndarray:
        """Return a number of the case and the placement of each point."""
        axes = self._space.axes
        places = np.unravel_index(points, tuple(map(len, axes.values())))
        number = self._space.groups(points)
        for path in self._inner:
            number = number * len(axes[path]) + places[list(axes).index(path)]
        return number

    def _view(self, way: int | None) -> View:
        found: dict[int, dict[str, list[Entry]]] = {group: {name: [] for name in self._objectives} for group in sorted(self._asked)}
        for place, name in enumerate(self._objectives):
            for block in self._kept[way, place]:
                groups = self._space.groups(block.points).tolist()
                for row in np.argsort(-self._rows.objectives(block)[:, place], kind="stable").tolist():
                    found[groups[row]][name].append(self._entry(block, row))
        cases = [
            Case(values=self._space.group_values(group), entries={name: tuple(each) for name, each in entries.items()})
            for group, entries in found.items()
        ]
        return View(batch=way, cases=tuple(cases))

    def _entry(self, block: Block, row: int) -> Entry:
        values, base = self._space.values(int(block.points[row])), self._space.study.base
        return Entry(
            name=placement_name(values, base, self._inner),
            system=str(values.get(SYSTEM, base.get(SYSTEM))),
            kind=str(block.notes["kind"][row]),
            binding=str(block.notes["binding"][row]),
            batch=int(values.get("batch", base.get("batch", 1))),
            values=values,
            metrics={name: float(each[row]) for name, each in block.metrics.items() if math.isfinite(each[row])},
        )
