"""Two folders that explorations wrote set beside each other: what came to the front, what left it, and whose figures changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwsim.errors import SpecError, shown
from hwsim.plain import read_json, read_yaml
from lamforge.explore.axes import Value
from lamforge.explore.exploration import Design
from lamforge.explore.front import ranked_front
from lamforge.explore.leads import PLACEMENT, placement_name
from lamforge.explore.metrics import METRICS, PLACEMENT_METRICS
from lamforge.explore.placement_axes import SYSTEM
from lamforge.explore.placements import PlacementRows
from lamforge.explore.rows import Rows
from lamforge.explore.store import CLOSED, ESTIMATE, EXACT, ORIGIN, STUDY, Store, is_study_folder
from lamforge.flow.compare import Change, Json, Part, compare_documents

__all__ = ["MOST_CHANGES", "DesignChange", "Figures", "LeadChange", "StudyComparison", "StudySide", "compare_studies"]

MOST_CHANGES = 1000
"""Changes of figures that are kept for each fidelity, those of the largest effect."""
_REJECTED = "rejected_by"
_SECTIONS: Mapping[str, Json] = {
    "base": {},
    "axes": {},
    "conditions": [],
    "constraints": {},
    "objectives": {"token_per_s": "maximize"},
    "search": {},
    "exact": "front",
    "for_each": [],
    "accuracy": "none",
}
"""Sections of a study that decide its results, with what stands for one that is left out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudySide:
    """One of two studies.

    Attributes:
        folder, name: where it is, and of the study.
        code: digest of the code that computed.
        points, exact_points: looked at by the closed form, or estimated, and simulated.
        is_placement: whether its points are placements.
        objective: the first.
        is_maximized: whether more of it is better.
        for_each: axes of which each combination of values has a front of its own.
        front: the best designs, front after front, and of each the best by the first objective first.
    """

    folder: str
    name: str
    code: str
    points: int
    exact_points: int
    is_placement: bool
    objective: str
    is_maximized: bool
    for_each: tuple[str, ...]
    front: tuple[Design, ...]

    @property
    def best(self) -> Design | None:
        """The best design by the first objective, of the first front; None where none meets the constraints."""
        return self.front[0] if self.front else None

    @property
    def bests(self) -> Mapping[tuple[Value, ...], Design]:
        """The best design of each front by its values of `for_each`."""
        return {tuple(each.values[path] for path in self.for_each): each for each in reversed(self.front)}

    def goal(self, design: Design) -> Value | None:
        """Return the first objective of a design; None where it does not vary and is no figure."""
        return design.metrics.get(self.objective, design.values.get(self.objective))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DesignChange:
    """A figure of one design that is another one in B than in A; `change.path` names it. None stands for one that is not known."""

    values: Mapping[str, Value]
    change: Change


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeadChange:
    """A question of which another placement leads in B than in A.

    Attributes:
        values: of `for_each`, by path.
        objective: by which it leads.
        batch: the batch that all have; None where each has its best.
        a, b: what leads; None where nothing meets the constraints, or the question is not asked.
    """

    values: Mapping[str, Value]
    objective: str
    batch: int | None
    a: str | None
    b: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of one fidelity.

    Attributes:
        fidelity: exact or closed; of placements, estimate.
        same, changed: figures of designs that are in both.
        only_a, only_b: designs that only one has.
        changes: of those that changed, the ones of the largest effect first, at most MOST_CHANGES.
    """

    fidelity: str
    same: int
    changed: int
    only_a: int
    only_b: int
    changes: tuple[DesignChange, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyComparison:
    """Two studies, or one by two versions of the code.

    Attributes:
        a, b: both.
        matched_by: what says that two designs are one: `configuration`, which is everything that a design is, or, where no
            configuration is in both, `axes`: the values that vary; None where the axes are different ones.
        came, left: designs that are on the front of B alone, and of A alone.
        stayed: designs that are on both fronts.
        leads: of placements, the questions of which another one leads, where both studies ask each by the same axes.
        cases: questions of both studies together, times objectives and ways to choose a batch; 0 without placements.
        figures: what changed of designs that are in both, the exact figures first.
        study: what differs between the studies themselves.
    """

    a: StudySide
    b: StudySide
    matched_by: str | None
    came: tuple[Design, ...]
    left: tuple[Design, ...]
    stayed: int
    leads: tuple[LeadChange, ...]
    cases: int
    figures: tuple[Figures, ...]
    study: Part

    @property
    def is_changed(self) -> bool:
        """Whether studies, fronts or figures differ."""
        figures = any(each.changed or each.only_a or each.only_b for each in self.figures)
        return bool(self.came or self.left or self.leads or figures or self.study.is_changed)


def compare_studies(a: Path, b: Path, *, names: tuple[str, str] | None = None, tolerance: float = 0.0) -> StudyComparison:
    """Return what differs between the results in two folders, of one study or of two, also by other versions of the code.

    names: what the folders are called.
    tolerance: relative difference up to which two figures are the same.

    Raises:
        SpecError: a folder holds no results, damaged ones, or those of a run that was stopped, or one is of engines and the other
            of placements.
    """
    sides = [_Side(folder, name) for folder, name in zip((a, b), names or (str(a), str(b)), strict=True)]
    if sides[0].is_placement != sides[1].is_placement:
        kinds = " and ".join(f"{'placements' if side.is_placement else 'engines'} in {shown(side.name)}" for side in sides)
        raise SpecError(f"Studies must be of one kind to be compared, not of {kinds}")
    study = compare_documents(sides[0].document, sides[1].document, tolerance=tolerance).results
    matched_by = _matched_by(sides[0], sides[1])
    keys = [[side.key_of(design, matched_by) for design in side.front] for side in sides]
    came, left = (
        tuple(design for design, key in zip(sides[side].front, keys[side], strict=True) if key not in keys[1 - side])
        for side in (1, 0)
    )
    leads = [side.leads() for side in sides] if sides[0].for_each == sides[1].for_each else [{}, {}]
    cases = list(dict.fromkeys([*leads[0], *leads[1]]))
    return StudyComparison(
        a=sides[0].told(),
        b=sides[1].told(),
        matched_by=matched_by,
        came=came,
        left=left,
        stayed=len(sides[0].front) - len(left),
        leads=tuple(
            LeadChange(
                values=dict(zip(sides[0].for_each, case.group, strict=True)),
                objective=case.objective,
                batch=case.batch,
                a=leads[0].get(case),
                b=leads[1].get(case),
            )
            for case in cases
            if leads[0].get(case) != leads[1].get(case)
        ),
        cases=len(cases),
        figures=tuple(_figures(fidelity, sides[0], sides[1], matched_by, tolerance) for fidelity in sides[0].fidelities),
        study=study,
    )


class _Case(NamedTuple):
    """A question, by its values of `for_each`, an objective, and the batch that all have; None where each has its best."""

    objective: str
    batch: int | None
    group: tuple[Value, ...]


class _Side:
    """Reads one folder."""

    def __init__(self, folder: Path, name: str):
        where = shown(name)
        if not is_study_folder(folder):
            raise SpecError(f"Study folder must hold {ORIGIN} as explore writes it, not what is in {where}")
        origin = read_json("Study", folder / ORIGIN, f"{name}/{ORIGIN}", SpecError)
        study = read_yaml("Study", folder / STUDY, f"{name}/{STUDY}", SpecError)
        if not isinstance(origin, dict) or not isinstance(study, dict) or not isinstance(study.get("axes"), dict):
            raise SpecError(f"Study folder must hold {ORIGIN} and {STUDY} as explore writes them, not what is in {where}")
        self.name, self.study, self.code = name, str(study.get("name")), str(origin.get("code"))
        self.document: dict[str, Json] = {section: _section(study.get(section, none)) for section, none in _SECTIONS.items()}
        self.axes = tuple(map(str, study["axes"]))
        self._given: Mapping[str, list[Value]] = {str(path): cast(list[Value], values) for path, values in study["axes"].items()}
        self.base: Mapping[str, Value] = cast(Mapping[str, Value], study.get("base") or {})
        self.is_placement = SYSTEM in self._given or SYSTEM in self.base
        self.fidelities = (ESTIMATE,) if self.is_placement else (EXACT, CLOSED)
        self.metrics_of_kind = PLACEMENT_METRICS if self.is_placement else METRICS
        asked = study.get("for_each")
        self.for_each = tuple(str(path) for path in (asked if isinstance(asked, list) else ()) if path in self._given)
        store = Store(folder=folder, code=self.code)
        try:
            self.rows = {fidelity: self._rows(store, fidelity) for fidelity in self.fidelities}
            self.front = tuple(self._front(study))
        except (KeyError, pa.ArrowInvalid) as error:
            raise SpecError(f"Study folder must hold rows as explore writes them, not those in {where} ({error})") from None
        if not self.rows[self.first].num_rows:
            raise SpecError(f"Study folder must hold at least one part of results, not none in {where}")
        if not self._is_finished(folder):
            raise SpecError(
                f"Study must have come to its end to be compared, not have been stopped as in {where}: explore goes on with it"
            )

    def told(self) -> StudySide:
        return StudySide(
            folder=self.name,
            name=self.study,
            code=self.code,
            points=self.rows[self.first].num_rows,
            exact_points=0 if self.is_placement else self.rows[EXACT].num_rows,
            is_placement=self.is_placement,
            objective=self.objective,
            is_maximized=self.is_maximized,
            for_each=self.for_each,
            front=self.front,
        )

    def key_of(self, design: Design, matched_by: str | None) -> str:
        return _joined(design.values[path] for path in sorted(self.axes)) if matched_by == "axes" else design.configuration

    def keys(self, fidelity: str, matched_by: str) -> pa.Array:
        """Return what says which design each row is of."""
        rows = self.rows[fidelity]
        if matched_by == "configuration":
            return rows["configuration"].combine_chunks()
        columns = [pc.cast(rows[path].combine_chunks(), pa.string()) for path in sorted(self.axes)]
        return pc.binary_join_element_wise(*columns, "\0")

    @property
    def first(self) -> str:
        """Fidelity that every point has."""
        return self.fidelities[-1]

    @property
    def best(self) -> str:
        """Fidelity of the front."""
        return self.fidelities[0]

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.metrics_of_kind if name in self.rows[self.first].column_names]

    @property
    def notes(self) -> list[str]:
        """Columns of texts that both fidelities have: what rejects a row, and what is said beside figures."""
        return [name for name in (_REJECTED, *self._notes) if name in self.rows[self.first].column_names]

    @property
    def _notes(self) -> tuple[str, ...]:
        return PlacementRows.notes if self.is_placement else Rows.notes

    def leads(self) -> dict[_Case, str]:
        """Return the names of the placements that lead, by objective and by the smallest batch and any; empty of engines."""
        found: dict[_Case, str] = {}
        if not self.is_placement:
            return found
        rows, inner = self.rows[ESTIMATE], [path for path in PLACEMENT if path in self.axes and path not in self.for_each]
        are_met, groups = self.texts(ESTIMATE, _REJECTED) == "", self.groups(ESTIMATE)
        batches = sorted({int(batch) for batch in self._given.get("batch", [])})
        ways = (batches[0], None) if len(batches) > 1 and "batch" not in self.for_each else (None,)
        for way in ways:
            is_asked = are_met if way is None else are_met & (rows["batch"].to_numpy() == way)
            for name, is_maximized in self.goals.items():
                if name not in rows.column_names:
                    continue
                values = (1 if is_maximized else -1) * self.figure(ESTIMATE, name)
                places = np.flatnonzero(is_asked & ~np.isnan(values))
                places = places[np.lexsort((places, -values[places], groups[places]))]
                for place in places[np.unique(groups[places], return_index=True)[1]].tolist():
                    at = self.values(ESTIMATE, place)
                    case = _Case(objective=name, batch=way, group=tuple(at[path] for path in self.for_each))
                    found[case] = placement_name(at, self.base, inner)
        return found

    def groups(self, fidelity: str) -> np.ndarray:
        """Return a number of the values of `for_each` of every row, in the order of the study."""
        rows = self.rows[fidelity]
        found = np.zeros(rows.num_rows, dtype=np.int64)
        for path in self.for_each:
            places = {value: place for place, value in enumerate(self._given[path])}
            found = found * (len(places) + 1) + np.array([places.get(value, len(places)) for value in rows[path].to_pylist()], int)
        return found

    def figure(self, fidelity: str, name: str) -> np.ndarray:
        """Return a figure of every row, NaN where it is not known."""
        found: np.ndarray = self.rows[fidelity][name].to_numpy().astype(np.float64)
        return found

    def texts(self, fidelity: str, name: str) -> np.ndarray:
        """Return a text of each row, such as what rejects it; empty where there is none."""
        found: np.ndarray = self.rows[fidelity][name].to_numpy()
        return found

    def values(self, fidelity: str, place: int) -> dict[str, Value]:
        """Return the values of the axes in a row."""
        return {path: cast(Value, self.rows[fidelity][path][place].as_py()) for path in self.axes}

    def _rows(self, store: Store, fidelity: str) -> pa.Table:
        """Return the rows of a fidelity, of each design one."""
        names = ["configuration", *self.axes, _REJECTED]
        more = (*self.metrics_of_kind, *self._notes)
        parts = [part.select([*names, *(name for name in more if name in part.column_names)]) for part in store.parts(fidelity)]
        if not parts:
            kinds = {name: pa.string() for name in (*names, *self._notes)} | {name: pa.float64() for name in self.metrics_of_kind}
            return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
        rows = pa.concat_tables(parts)
        here, there = _matched(rows["configuration"].combine_chunks(), rows["configuration"].combine_chunks())
        return rows.filter(pa.array(here == there))

    def _front(self, study: Mapping[str, Json]) -> Iterator[Design]:
        objectives = study.get("objectives") or _SECTIONS["objectives"]
        if not isinstance(objectives, dict):
            raise KeyError("objectives")
        goals = {name: goal == "maximize" for name, goal in objectives.items()}
        self.goals = goals
        self.objective, self.is_maximized = next(iter(goals.items()))
        rows = self.rows[self.best]
        # What does not vary decides nothing.
        known = [name for name in goals if name in rows.column_names]
        signed = [(1 if goals[name] else -1) * self.figure(self.best, name) for name in known]
        if not known or not rows.num_rows:
            return
        are_met, groups = self.texts(self.best, _REJECTED) == "", self.groups(self.best)
        figures = {name: self.figure(self.best, name) for name in self.metrics}
        notes = {name: self.texts(self.best, name) for name in self.notes if name != _REJECTED}
        for place in ranked_front(np.stack(signed, axis=1), are_met, groups).tolist():
            metrics = {name: float(values[place]) for name, values in figures.items()}
            yield Design(
                configuration=rows["configuration"][place].as_py(),
                values=self.values(self.best, place),
                metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
                notes={name: str(texts[place]) for name, texts in notes.items()},
            )

    def _is_finished(self, folder: Path) -> bool:
        """Return whether the run came to its end: it wrote the front, or was refused since nothing meets the constraints."""
        has_met = bool((self.texts(self.first, _REJECTED) == "").any())
        is_simulated = not self.is_placement and self.rows[EXACT].num_rows > 0
        return (folder / "front.csv").is_file() or (not self.front and (not has_met or is_simulated))


def _section(value: Json) -> Json:
    """Return a section of a study in which a list is a text, since its values belong together."""
    if isinstance(value, dict):
        return {name: _section(each) for name, each in value.items()}
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return _joined(value, ", ")
    return value


def _joined(values: Iterable[object], between: str = "\0") -> str:
    return between.join(map(str, values))


def _matched_by(a: _Side, b: _Side) -> str | None:
    here, _ = _matched(a.keys(a.first, "configuration"), b.keys(b.first, "configuration"))
    if here.size:
        return "configuration"
    return "axes" if set(a.axes) == set(b.axes) else None


def _matched(a: pa.Array, b: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in two lists of keys of those that are in both: of each key of `b` the first place in `a`."""
    found = pc.index_in(b, value_set=a)
    there = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    return found.take(pa.array(there)).to_numpy(zero_copy_only=False), there


def _figures(fidelity: str, a: _Side, b: _Side, matched_by: str | None, tolerance: float) -> Figures:
    """Return what changed of the designs that both have."""
    sizes = [side.rows[fidelity].num_rows for side in (a, b)]
    if matched_by is None:
        return Figures(fidelity=fidelity, same=0, changed=0, only_a=sizes[0], only_b=sizes[1], changes=())
    here, there = _matched(a.keys(fidelity, matched_by), b.keys(fidelity, matched_by))
    found: list[DesignChange] = []
    changed = figures = 0
    for name in (each for each in (*a.notes, *a.metrics) if each in (*b.notes, *b.metrics)):
        is_text = name in a.notes
        mine = (a.texts(fidelity, name) if is_text else a.figure(fidelity, name))[here]
        others = (b.texts(fidelity, name) if is_text else b.figure(fidelity, name))[there]
        differ, effects = (mine != others, np.ones(len(here))) if is_text else _effects(mine, others, tolerance)
        figures += len(here) if is_text else int((~np.isnan(mine) | ~np.isnan(others)).sum())
        places = np.flatnonzero(differ)
        changed += len(places)
        # Of equal effect those first that stand first in the grid.
        for place in places[np.lexsort((here[places], -effects[places]))][:MOST_CHANGES].tolist():
            pair = [_known(each[place]) for each in (mine, others)]
            found.append(DesignChange(values=a.values(fidelity, int(here[place])), change=Change(path=name, a=pair[0], b=pair[1])))
    found.sort(key=lambda each: -round(each.change.effect, 3))
    return Figures(
        fidelity=fidelity,
        same=figures - changed,
        changed=changed,
        only_a=sizes[0] - len(here),
        only_b=sizes[1] - len(here),
        changes=tuple(found[:MOST_CHANGES]),
    )


def _known(value: np.floating | str) -> float | str | None:
    """Return a figure or what rejects a design; None for one that is not known, or nothing."""
    if isinstance(value, str):
        return value or None
    return None if np.isnan(value) else float(value)


def _effects(a: np.ndarray, b: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which numbers differ, and by what share of the larger one; wholly where one is not known."""
    most = np.maximum(np.abs(a), np.abs(b))
    difference = np.abs(b - a)
    differ = ~((difference <= tolerance * most) | (a == b) | (np.isnan(a) & np.isnan(b)))
    return differ, np.nan_to_num(difference / np.where(most > 0, most, 1.0), nan=1.0)
