"""The results in a folder as reports show them: the answer, what binds designs, what next steps bring, and a sample to draw."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.errors import SpecError, shown
from lamforge.explore.axes import PLACES, Value
from lamforge.explore.binding import Binding, Roofs, binding, roofs
from lamforge.explore.exploration import Design, FormError
from lamforge.explore.front import Contradiction, Rejection, Tally, ranked_front
from lamforge.explore.metrics import METRICS
from lamforge.explore.placements import space_of
from lamforge.explore.resource_errors import ResourceError, resource_errors
from lamforge.explore.rows import BOARD_RESOURCES, FULLEST, Block, Rows
from lamforge.explore.sources import Sources, sources
from lamforge.explore.space import Space
from lamforge.explore.store import CLOSED, ESTIMATE, EXACT, ORIGIN, STUDY, Store, is_study_folder
from lamforge.explore.study import BOARD, Study, load_study
from lamforge.explore.study_text import study_text

__all__ = ["DRAWN", "Drawn", "Findings", "Miss", "Sensitivity", "Standing", "Step", "findings", "opened", "other_version"]

DRAWN = 1000
"""Points that charts draw, more only where the front has more."""
_STEPPED = 20
"""Designs of the front for which the next steps are looked up."""
_MOST_VALUES = 64
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Odd number near the golden section of 2^64: products with it are spread evenly."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A design of which one axis alone has another value.

    Attributes:
        path, value: the axis and the other value.
        change: by what share the measure grows; None where it is not known.
        is_exact: whether both designs were simulated; otherwise the change is that of the closed form.
        rejected_by: constraints and conditions that it breaks; empty where it meets all.
        excess: by how much of its bound it misses the constraint that it misses most; None where that is not known.
    """

    path: str
    value: Value
    change: float | None
    is_exact: bool
    rejected_by: tuple[str, ...]
    excess: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """How far the measure moves when one axis alone moves from the best design.

    Attributes:
        path, value: the axis, and its value of the best design.
        steps: its other values.
    """

    path: str
    value: Value
    steps: tuple[Step, ...]

    @property
    def low(self) -> float:
        """The least change, that of the best design included."""
        return min([0.0, *(step.change for step in self.steps if step.change is not None)])

    @property
    def high(self) -> float:
        """The greatest change, that of the best design included."""
        return max([0.0, *(step.change for step in self.steps if step.change is not None)])

    @property
    def fidelity(self) -> str:
        """What the changes come from."""
        kinds = {step.is_exact for step in self.steps if step.change is not None}
        return {(): "none", (True,): "exact", (False,): "closed form"}.get(tuple(kinds), "both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A design of the front.

    Attributes:
        design: it.
        causes: cycles of the matrix unit by cause.
        binding: what binds it.
        roofs: of its engine.
        steps: the next values of each axis, on both sides; None where they were not looked up.
    """

    design: Design
    causes: Mapping[str, float]
    binding: Binding
    roofs: Roofs
    steps: tuple[Step, ...] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Miss:
    """A design that constraints reject.

    Attributes:
        values: of the axes.
        rejected_by: the constraints that it breaks.
        excess: by how much of its bound it misses the one that it misses most.
        gain: by what share it would be better than the best design in the first objective; None where there is none.
        fullest: the resource, and the SLR of the board, that it fills most, such as `uram in SLR0`; empty where that is not known.
    """

    values: Mapping[str, Value]
    rejected_by: tuple[str, ...]
    excess: float
    gain: float | None
    fullest: str = ""

    @property
    def is_too_large(self) -> bool:
        """Whether it takes more of a resource than the board has."""
        return any(name in BOARD_RESOURCES for name in self.rejected_by)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """A point that charts draw.

    Attributes:
        values, metrics: by path and by name, the metrics of the higher fidelity there is.
        state: `front`, `simulated`, `closed form` or `rejected`.
        rejected_by: constraints that it breaks.
    """

    values: Mapping[str, Value]
    metrics: Mapping[str, float]
    state: str
    rejected_by: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What a folder of results says.

    Attributes:
        study: the study; text: its file, ranges written out.
        code: digest of the code that computed.
        points, met_points, exact_points: looked at by the closed form, those that meet everything by it, and simulated.
        is_finished: whether the run came to its end.
        measure: metric that steps are measured by.
        front: the best designs, the best by the first objective first.
        rejected, contradictions: what constraints reject.
        nearest: of the points that something rejects, the one that misses by the least.
        better: rejected points that are better than the best design in the first objective, by the closed form.
        unknown: rejected points for which the closed form does not give the first objective, such as those that fit no memory.
        stop: of those that are better the one that misses by the least.
        ends: numeric axes of which the best design has the first or last value, and of which the value beside it is worse.
        error: of the closed form; None where no point was simulated.
        resource_errors: of the model of resources, over engines that it was not fitted to.
        worst: the point where it is worst; worst_cycles: of it, by the closed form and exact.
        sensitivity: of every axis with several values, the most sensitive first; empty without a front.
        sources: what stands behind each metric of the front, and behind its constraint to fit the board; empty without a front.
        drawn: points to draw: the front whole, then simulated ones, then others that a fixed hash of their numbers draws evenly.
    """

    study: Study
    text: str
    code: str
    points: int
    met_points: int
    exact_points: int
    is_finished: bool
    measure: str
    front: tuple[Standing, ...]
    rejected: tuple[Rejection, ...]
    contradictions: tuple[Contradiction, ...]
    nearest: Miss | None
    better: int
    unknown: int
    stop: Miss | None
    ends: tuple[str, ...]
    error: FormError | None
    resource_errors: tuple[ResourceError, ...]
    worst: Mapping[str, Value] | None
    worst_cycles: tuple[float, float] | None
    sensitivity: tuple[Sensitivity, ...]
    sources: tuple[Sources, ...]
    drawn: tuple[Drawn, ...]


def findings(folder: Path) -> Findings:
    """Return what a folder says that an exploration wrote, also one that was stopped; nothing in it is changed.

    Raises:
        SpecError: it holds no results, or damaged ones, or those of another version.
    """
    store, space = opened(folder)
    try:
        return _Finder(store, space).found()
    except KeyError as error:
        raise other_version(folder, error) from None


def other_version(folder: Path, error: KeyError) -> SpecError:
    """Return the refusal of a folder in which a column is missing."""
    where = shown(str(folder))
    return SpecError(
        f"Report folder must be of this version of Lamforge, not of another that wrote {where} (column {error} is missing)"
    )


def opened(folder: Path) -> tuple[Store, Space]:
    """Return the results in a folder and the grid of their study, of either kind, for reading; raise SpecError as `findings`."""
    where = shown(str(folder))
    if not is_study_folder(folder) or not (folder / STUDY).is_file():
        raise SpecError(f"Report folder must hold {ORIGIN} and {STUDY} as explore writes them, not what is in {where}")
    try:
        origin = json.loads((folder / ORIGIN).read_text())
        code, digest = str(origin["code"]), str(origin["study"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SpecError(f"Report folder must hold {ORIGIN} as explore writes it, not what is in {where}") from None
    store = Store(folder=folder, code=code)
    if not store.numbers(CLOSED) and not store.numbers(ESTIMATE):
        raise SpecError(f"Report folder must hold at least one part of results, not none in {where}")
    space = space_of(load_study(str(folder / STUDY)))
    if space.digest != digest:
        raise SpecError(
            f"Report folder must be of the study in its {STUDY} and of the files that it names, as they were, not as in {where}"
        )
    return store, space


class _Finder:
    """Reads a folder once: first what was simulated, then the parts of the closed form one after the other."""

    def __init__(self, store: Store, space: Space):
        self._store, self.study, self.space = store, space.study, space
        study = space.study
        self.rows = Rows(self.space, store.code)
        self._shape = tuple(map(len, self.space.axes.values()))
        # Where each axis has its values in order: numbers by size, texts as the study lists them.
        self._orders = {
            path: list(range(len(values))) if PLACES[path].is_text else np.argsort(np.array(values)).tolist()
            for path, values in self.space.axes.items()
        }
        first = next((each.name for each in study.objectives if each.name in METRICS), "token_per_s")
        self.measure = first
        self.exact = self._simulated()
        self.exact_places = {int(point): place for place, point in enumerate(self.exact.points)}

    def found(self) -> Findings:
        are_met = np.array(~(self.exact.excess > 0).any(axis=1))
        places = ranked_front(self.rows.objectives(self.exact), are_met, self.space.groups(self.exact.points))
        best = int(self.exact.points[places[0]]) if places.size else None
        around = {} if best is None else {path: self._others(best, path) for path in self._varied}
        beside = {int(point): self._beside(int(point)) for point in self.exact.points[places[:_STEPPED]]}
        asked = {point for points in around.values() for point in points}
        asked |= {point for points in beside.values() for point, _ in points} | set(self.exact_places)
        closed = self._read(asked, best)
        tally = closed.tally
        tally.add(self.exact.points, self.exact.excess)
        stepper = _Stepper(self, closed.known)
        sensitivity = [
            Sensitivity(
                path=path, value=self.space.values(best)[path], steps=tuple(stepper.step(best, point, path) for point in points)
            )
            for path, points in around.items()
            if best is not None
        ]
        off = self._errors(closed.known)
        worst = max(off, key=lambda each: each[0], default=None)
        excess, nearest = tally.nearest
        return Findings(
            study=self.study,
            text=study_text(self.study),
            code=self._store.code,
            points=closed.points,
            met_points=closed.met,
            exact_points=len(self.exact.points),
            is_finished=(self._store.folder / "front.csv").is_file()
            or not closed.met
            or bool(len(self.exact.points) and not places.size),
            measure=self.measure,
            front=tuple(self._standing(int(place), beside, stepper) for place in places),
            rejected=tally.rejections,
            contradictions=tally.contradictions,
            nearest=self._miss(nearest, excess, None, closed, stepper) if nearest >= 0 and np.isfinite(excess) else None,
            better=closed.better,
            unknown=closed.unknown,
            stop=None if closed.stop is None else self._miss(closed.stop[1], closed.stop[0], closed.stop[2], closed, stepper),
            ends=() if best is None else tuple(self._ends(best, sensitivity)),
            error=FormError(median=float(np.median([each[0] for each in off])), worst=worst[0]) if worst else None,
            resource_errors=resource_errors(),
            worst=self.space.values(worst[1]) if worst else None,
            worst_cycles=worst[2:] if worst else None,
            sensitivity=tuple(sorted(sensitivity, key=lambda each: each.low - each.high)),
            sources=self._sources(places),
            drawn=tuple(self._drawn(closed.sample, places)),
        )

    @property
    def _varied(self) -> list[str]:
        return [path for path, values in self.space.axes.items() if len(values) > 1]

    def _simulated(self) -> Block:
        parts = [self.rows.block(part) for part in self._store.parts(EXACT)]
        if not parts:
            return self.rows.exact([])
        every = Block.joined(parts)
        _, first = np.unique(every.points, return_index=True)
        return every.taken(first)

    def _at(self, point: int, path: str, place: int) -> int:
        places = [int(each) for each in np.unravel_index(point, self._shape)]
        places[list(self.space.axes).index(path)] = place
        return int(np.ravel_multi_index(places, self._shape))

    def _place(self, point: int, path: str) -> int:
        """Return where in the order of an axis a point stands."""
        place = int(np.unravel_index(point, self._shape)[list(self.space.axes).index(path)])
        return self._orders[path].index(place)

    def _others(self, point: int, path: str) -> list[int]:
        """Return the points that differ in one axis, those nearest in its order where it has very many values."""
        order, here = self._orders[path], self._place(point, path)
        near = sorted(sorted(range(len(order)), key=lambda each: abs(each - here))[1 : _MOST_VALUES + 1])
        return [self._at(point, path, order[each]) for each in near]

    def _beside(self, point: int) -> list[tuple[int, str]]:
        """Return the points a step before and after on each axis; of texts all others, which have no order."""
        found = []
        for path in self._varied:
            if PLACES[path].is_text:
                found += [(other, path) for other in self._others(point, path)]
                continue
            order, here = self._orders[path], self._place(point, path)
            found += [(self._at(point, path, order[place]), path) for place in (here - 1, here + 1) if 0 <= place < len(order)]
        return found

    def _ends(self, best: int, sensitivity: Sequence[Sensitivity]) -> Iterator[str]:
        sign = -1 if any(each.name == self.measure and not each.is_maximized for each in self.study.objectives) else 1
        for each in sensitivity:
            here, last = self._place(best, each.path), len(self._orders[each.path]) - 1
            changes = [sign * step.change for step in each.steps if step.change is not None]
            if not PLACES[each.path].is_text and here in (0, last) and changes and max(changes) < 0:
                yield each.path

    def _read(self, asked: set[int], best: int | None) -> _Closed:
        """Return what the parts of the closed form say, each read once; what they lack of what is asked is computed."""
        found = _Closed(Tally(self.rows.constraints))
        wanted = np.array(sorted(asked), dtype=np.int64)
        known: list[Block] = []
        level = None if best is None else float(self.rows.objectives(self.rows.closed(np.array([best])))[0, 0])
        samples: list[Block] = []
        for part in self._store.parts(CLOSED):
            block = self.rows.block(part)
            is_met = found.tally.add(block.points, block.excess)
            found.points += len(block.points)
            found.met += int(is_met.sum())
            known.append(block.taken(np.isin(block.points, wanted)))
            if level is not None:
                # Better than the best design is asked among those that it is the best of.
                rivals = self.space.groups(block.points) == self.space.groups(np.array([best]))
                some = block.taken(rivals)
                found.look(some, self.rows.objectives(some)[:, 0], level, is_met[rivals])
            samples = [_sampled(Block.joined([*samples, _sampled(block)]))]
        have = np.concatenate([block.points for block in known])
        missing = self.space.meeting(np.setdiff1d(wanted, have))
        if missing.size:
            known.append(self.rows.closed(missing))
        found.known, found.sample = Block.joined(known), samples[0]
        return found

    def _errors(self, known: Block) -> list[tuple[float, int, float, float]]:
        """Return by how much the cycles of the closed form are off, with the point and the cycles of both."""
        places = {int(point): place for place, point in enumerate(known.points)}
        found = []
        for point, place in self.exact_places.items():
            if point not in places:
                continue
            exact, closed = float(self.exact.metrics["cycles"][place]), float(known.metrics["cycles"][places[point]])
            if np.isfinite(exact) and np.isfinite(closed):
                found.append((abs(closed / exact - 1), point, closed, exact))
        return found

    def _standing(self, place: int, beside: Mapping[int, list[tuple[int, str]]], stepper: _Stepper) -> Standing:
        block = self.exact.taken(np.array([place]))
        point = int(block.points[0])
        metrics = {name: float(values[0]) for name, values in block.metrics.items() if not np.isnan(values[0])}
        causes = {name: float(values[0]) for name, values in block.causes.items()}
        return Standing(
            design=Design(
                configuration=self.space.digests(block.points, self.space.columns(block.points))[0],
                values=self.space.values(point),
                metrics=metrics,
                notes={name: str(texts[0]) for name, texts in block.notes.items()},
            ),
            causes=causes,
            binding=binding(causes, metrics["fraction_of_peak"]),
            roofs=roofs(self.space, point, metrics["token_per_s"], metrics["fraction_of_peak"]),
            steps=tuple(stepper.step(point, other, path) for other, path in beside[point]) if point in beside else None,
        )

    def _sources(self, places: np.ndarray) -> tuple[Sources, ...]:
        front = [int(point) for point in self.exact.points[places]]
        requests = [self.space.request(point) for point in front]
        told = [name for name in METRICS if np.isfinite(self.exact.metrics[name][places]).any()]
        is_bounded = any(each.name == BOARD for each in self.study.constraints)
        boards = [self.space.board(point) for point in front]
        return sources([(request.engine, memory) for request, memory in requests], told, boards, is_bounded)

    def _miss(self, point: int, excess: float, gain: float | None, closed: _Closed, stepper: _Stepper) -> Miss:
        row = self.exact if point in self.exact_places else self.rows.closed(np.array([point]))
        place = self.exact_places.get(point, 0)
        names = stepper.broken(closed.excesses.get(point)) or stepper.broken(row.excess[place])
        fullest = str(row.notes[FULLEST][place])
        return Miss(values=self.space.values(point), rejected_by=names, excess=excess, gain=gain, fullest=fullest)

    def _drawn(self, sample: Block, front_places: np.ndarray) -> Iterator[Drawn]:
        """Yield the points that charts draw, the front last, so that it lies above the others."""
        simulated = np.setdiff1d(np.arange(len(self.exact.points)), front_places)
        simulated = simulated[np.argsort(_hash(self.exact.points[simulated]), kind="stable")]
        simulated = simulated[: max(0, DRAWN - len(front_places))]
        left = max(0, DRAWN - len(front_places) - len(simulated))
        others = sample.taken(~np.isin(sample.points, self.exact.points))
        others = others.taken(np.argsort(_hash(others.points), kind="stable")[:left])
        parts = [(others, "closed form"), (self.exact.taken(simulated), "simulated"), (self.exact.taken(front_places), "front")]
        for block, state in parts:
            for place, point in enumerate(block.points.tolist()):
                broken = [name for name, each in zip(self.rows.constraints, block.excess[place] > 0, strict=True) if each]
                metrics = {name: float(each[place]) for name, each in block.metrics.items() if np.isfinite(each[place])}
                yield Drawn(
                    values=self.space.values(point),
                    metrics=metrics,
                    state="rejected" if broken else state,
                    rejected_by=", ".join(broken),
                )


class _Closed:
    """What the parts of the closed form say; filled part by part."""

    def __init__(self, tally: Tally):
        self.tally, self.points, self.met, self.better, self.unknown = tally, 0, 0, 0, 0
        self.stop: tuple[float, int, float] | None = None
        self.excesses: dict[int, np.ndarray] = {}
        self.known: Block
        self.sample: Block

    def look(self, block: Block, objective: np.ndarray, level: float, is_met: np.ndarray) -> None:
        """Take those points of a block that are rejected and better than a level of the first objective."""
        worst = np.where(block.excess > 0, block.excess, -np.inf).max(axis=1)
        places = np.flatnonzero(~is_met & (objective > level) & np.isfinite(worst))
        self.better += len(places)
        self.unknown += int((~is_met & np.isnan(objective)).sum())
        if places.size:
            # Of equal ones the better.
            place = places[np.lexsort((-objective[places], worst[places]))[0]]
            gain = float((objective[place] - level) / (abs(level) or 1.0))
            one = (float(worst[place]), int(block.points[place]), gain)
            if self.stop is None or (one[0], -one[2]) < (self.stop[0], -self.stop[2]):
                self.stop = one
                self.excesses = {one[1]: block.excess[place]}


class _Stepper:
    """Says what a step from one point to another brings."""

    def __init__(self, finder: _Finder, known: Block):
        self._finder, self._known = finder, known
        self._places = {int(point): place for place, point in enumerate(known.points)}

    def broken(self, excess: np.ndarray | None) -> tuple[str, ...]:
        """Return the names of the constraints that a point breaks, the one that it misses most first."""
        if excess is None:
            return ()
        order = [int(place) for place in np.argsort(-np.nan_to_num(excess, nan=-np.inf)) if excess[place] > 0]
        return tuple(self._finder.rows.constraints[place] for place in order)

    def step(self, here: int, there: int, path: str) -> Step:
        """Return what a step brings."""
        finder = self._finder
        value = finder.space.values(there)[path]
        if there not in self._places:
            columns = finder.space.columns(np.array([there]))
            missed = tuple(each.text for each in finder.study.conditions if not np.all(each.holds(columns)))
            return Step(path=path, value=value, change=None, is_exact=False, rejected_by=missed, excess=None)
        exact = finder.exact_places
        is_exact = here in exact and there in exact and self._value(finder.exact, exact[there]) is not None
        block, places = (finder.exact, exact) if is_exact else (self._known, self._places)
        before, after = self._value(block, places[here]), self._value(block, places[there])
        row = finder.exact.excess[exact[there]] if there in exact else self._known.excess[self._places[there]]
        names = self.broken(row)
        return Step(
            path=path,
            value=value,
            change=None if before is None or after is None else after / before - 1,
            is_exact=is_exact,
            rejected_by=names,
            excess=float(np.nanmax(row)) if names and np.isfinite(np.nanmax(row)) else None,
        )

    def _value(self, block: Block, place: int) -> float | None:
        found = float(block.metrics[self._finder.measure][place])
        return found if np.isfinite(found) and found else None


def _hash(points: np.ndarray) -> np.ndarray:
    """Return numbers that are spread evenly, the same for the same points."""
    mixed: np.ndarray = points.astype(np.uint64) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


def _sampled(block: Block) -> Block:
    """Return points of a block to draw, whose figures are known: those of the least hashes."""
    known = block.taken(np.isfinite(block.metrics["cycles"]))
    return known.taken(np.argsort(_hash(known.points), kind="stable")[: 2 * DRAWN])
