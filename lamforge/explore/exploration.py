"""Explores the designs of a study: all by the closed form, those that are left to the cycle, and the best of them."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from hwsim.errors import SpecError, shown
from lamforge.explore.accuracy import Key, missing_text
from lamforge.explore.axes import Value
from lamforge.explore.exact import CYCLE_PATHS, TIMING_PATHS
from lamforge.explore.executors import Outcome, Workers, workers
from lamforge.explore.front import Contradiction, Rejection, Tally, best_of_each, front_of_each, ranked_front
from lamforge.explore.leads import Leads, View
from lamforge.explore.placements import rows_of, space_of
from lamforge.explore.rows import Block
from lamforge.explore.search import Judged, check_search, points_of, sampled
from lamforge.explore.space import BLOCK, Space
from lamforge.explore.store import EXACT, STUDY, Store
from lamforge.explore.study import FILES, Study, is_exact_only, load_study
from lamforge.explore.synthesis import Synthesized, synthesized, synthesized_table
from lamforge.flow.verb import SILENT, Listener, verb

__all__ = ["Design", "Exploration", "ExploreRequest", "FormError", "Synthesized", "explore", "run"]

_FLUSH_S = 2.0
"""Seconds of exact points that a process which is killed may lose, about."""
_FLUSH_ROWS = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExploreRequest:
    """A study to explore.

    Attributes:
        study: name of a shipped study, path of a YAML file, or a study.
        output: folder of the results; one that holds some of this study is gone on with.
        workers: processes of this machine that simulate.
        scheduler: address of a Dask scheduler, whose workers simulate instead, such as `tcp://host:8786`.
        synth: whether resources are those of the fitted `model`, or the circuits of the front are also synthesized (`exact`), which
            takes Yosys minutes for each.
    """

    study: str | Study = dataclasses.field(kw_only=False)
    output: Path
    workers: int = 1
    scheduler: str | None = None
    synth: Literal["model", "exact"] = "model"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormError:
    """How far the cycles of the closed form are from the exact ones, of these, at the points that have both."""

    median: float
    worst: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """A point of a study.

    Attributes:
        configuration: digest of everything that it is.
        values: of the axes, by path.
        metrics: by name, simulated to the cycle; of a placement, estimated.
        notes: what is said of it beside its figures, by name, such as which SLR is fullest of what.
    """

    configuration: str
    values: Mapping[str, Value]
    metrics: Mapping[str, float]
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a study found.

    Attributes:
        study: the study.
        folder: where its rows are.
        points: points that meet the conditions and were looked at by the closed form, or estimated.
        exact_points: points that were simulated to the cycle; none of placements.
        kept_points: of both, those that an earlier run had left.
        closed_points_per_s, exact_points_per_s: points computed per second, the latter by all workers together; None of placements.
        closed_form_error: of the closed form; None where no point was simulated.
        front: the points that no other of the same values of `for_each` is better than in every objective: one front after the
            other, of each the best by the first objective first.
        views: of placements, which is best where; empty of engines.
        rejected: what constraints reject.
        contradictions: constraints that no point meets together.
        synthesized: the circuits of the front, where they were asked for.
        unmeasured: what the study asks for and its table has not measured, by the values that choose a row: how many points.
    """

    study: Study
    folder: Path
    points: int
    exact_points: int
    kept_points: int
    closed_points_per_s: float
    exact_points_per_s: float | None
    closed_form_error: FormError | None
    front: tuple[Design, ...]
    views: tuple[View, ...]
    rejected: tuple[Rejection, ...]
    contradictions: tuple[Contradiction, ...]
    unmeasured: Mapping[Key, int]
    synthesized: tuple[Synthesized, ...] = ()

    @property
    def missing(self) -> str:
        """How many points were not measured, the first of what is missing, and the command that measures it."""
        return _missing(self.unmeasured, self.study, self.folder)


def run(request: ExploreRequest, listener: Listener = SILENT) -> Exploration:
    """Explore a study: every point by the closed form, those that are left to the cycle, and the best of them as a front.

    Placements are estimated, by this process alone, and nothing of them is simulated. Results are Parquet in the folder, written as
    they come: a study that was stopped goes on where it was.

    Raises:
        SpecError: the study is wrong or too large, no point meets its constraints, the folder belongs to another study or version
            or cannot be written, or the scheduler cannot be reached.
        MachineError: those who compute went away.
    """
    study = load_study(request.study) if isinstance(request.study, str) else request.study
    check_search(study)
    if request.synth not in ("model", "exact"):
        raise SpecError(f"Synth must be model or exact, not {shown(request.synth)}")
    if request.synth == "exact":
        if study.is_placement:
            raise SpecError("Synth must be model where there are placements, which have no circuit, not exact")
        # Loaded here: what is explored without synthesis does without it. It is asked first, before anything is computed.
        from rtl.synthesis.yosys import tool_version

        tool_version()
    space = space_of(study)
    with workers(request.workers, request.scheduler) as crew, Store.opened(request.output, space) as store:
        found = _Explorer(space, store, crew, listener).explored()
        return (
            found if request.synth == "model" else dataclasses.replace(found, synthesized=_circuits(found, space, store, listener))
        )


explore = verb("explore", ExploreRequest, run)


def _circuits(found: Exploration, space: Space, store: Store, listener: Listener) -> tuple[Synthesized, ...]:
    """Return the circuits of the front, each written as soon as it is synthesized."""
    points = [space.point_of(design.values) for design in found.front]
    circuits: list[Synthesized] = []
    for circuit in synthesized([(space.request(point)[0].engine, space.board(point)) for point in points], listener):
        circuits.append(circuit)
        store.write_csv("synthesis.csv", [synthesized_table(circuits)])
    return tuple(circuits)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
    """Points that meet everything by the closed form: their numbers, ascending, objectives [points, objectives], and cycles."""

    points: np.ndarray
    objectives: np.ndarray
    cycles: np.ndarray

    def taken(self, places: np.ndarray) -> _Chosen:
        """Return some of the points, by their places or by a mask."""
        return _Chosen(points=self.points[places], objectives=self.objectives[places], cycles=self.cycles[places])


class _Explorer:
    """One run of a study."""

    def __init__(self, space: Space, store: Store, crew: Workers, listener: Listener):
        self._space, self._study, self._store, self._crew, self._listener = space, space.study, store, crew, listener
        self._rows = rows_of(space, store.code)
        self._tally = Tally(self._rows.constraints)
        self._points = self._blocks = self._kept = self._computed = 0
        self._closed_s = self._spent_s = 0.0
        self._unmeasured: collections.Counter[Key] = collections.Counter()
        self._next_part = max(store.numbers(EXACT), default=-1) + 1
        self._simulated = [self._rows.block(part) for part in store.parts(EXACT)]
        self._before = {int(point) for block in self._simulated for point in block.points}
        self._known = set(self._before)

    def explored(self) -> Exploration:
        """Return what the study found."""
        met = self._sampled() if self._study.search.method == "optuna" else self._searched()
        if not self._points:
            raise SpecError(f"Study conditions must leave at least one of {self._space.size:,} points, not none")
        self._check_any(met.points)
        self._check_known(met.objectives)
        if self._study.is_placement:
            return self._estimated(met)
        chosen = met.taken(self._left(met))
        self._simulate(chosen.points)
        found = self._exact_of(chosen.points)
        are_met = self._tally.add(found.points, found.excess)
        self._check_any(found.points[are_met], [refusal for refusal in found.refusals if refusal])
        self._write_csv(found.taken(are_met))
        return self._exploration(chosen, found, are_met)

    def _estimated(self, met: _Chosen) -> Exploration:
        """Return what is best of the placements that meet everything."""
        groups = self._space.groups(met.points)
        places = ranked_front(met.objectives, np.ones(len(groups), dtype=bool), groups)
        wanted, leads = met.points[places], Leads(self._space, self._rows)
        kept: list[Block] = []
        for part in self._store.parts(self._rows.first):
            block = self._rows.block(part)
            leads.add(block)
            kept.append(block.taken(np.isin(block.points, wanted)))
        some = Block.joined(kept)
        best_points = some.taken(np.argsort(some.points)[np.searchsorted(np.sort(some.points), wanted)])
        self._store.write_csv("points.csv", self._store.parts(self._rows.first))
        self._store.write_csv("front.csv", [self._rows.table(best_points, self._rows.first)])
        return Exploration(
            study=self._study,
            folder=self._store.folder,
            points=self._points,
            exact_points=0,
            kept_points=self._kept,
            closed_points_per_s=self._points / self._closed_s,
            exact_points_per_s=None,
            closed_form_error=None,
            front=tuple(self._design(best_points.taken(np.array([place]))) for place in range(len(places))),
            unmeasured={},
            views=leads.views,
            rejected=self._tally.rejections,
            contradictions=self._tally.contradictions,
        )

    def _searched(self) -> _Chosen:
        """Return what meets everything of the points that do not depend on one another."""
        found, began = [], time.perf_counter()
        for number, points in enumerate(points_of(self._space)):
            if points.size:
                block = self._closed(points)
                found.append(self._met(block))
            done = min(self._space.size, (number + 1) * BLOCK)
            self._listener.progress(
                "estimates" if self._study.is_placement else "closed form",
                done / self._space.size,
                _pace(done, self._space.size, time.perf_counter() - began),
            )
        return self._joined(found)

    def _sampled(self) -> _Chosen:
        """Return what meets everything of the points that Optuna asked for."""
        seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        met: list[_Chosen] = []
        is_exact = self._study.exact == "all"

        def judge(points: np.ndarray) -> Judged:
            new = np.array([point for point in points.tolist() if point not in seen], dtype=np.int64)
            if new.size:
                block = self._closed(new)
                chosen = self._met(block)
                met.append(chosen)
                objectives, excess = self._rows.objectives(block), block.excess
                if is_exact and chosen.points.size:
                    self._simulate(chosen.points)
                    simulated = self._exact_of(chosen.points)
                    places = np.searchsorted(new, simulated.points)
                    objectives[places], excess[places] = self._rows.objectives(simulated), simulated.excess
                seen.update({point: (objectives[place], excess[place]) for place, point in enumerate(new.tolist())})
            rows = [seen[point] for point in points.tolist()]
            return Judged(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))

        sampled(self._space, self._rows.constraints, judge, lambda fraction: self._listener.progress("trials", fraction))
        return self._joined(met)

    def _closed(self, points: np.ndarray) -> Block:
        """Return the next block by the closed form: kept by an earlier run, or computed and kept now."""
        kept = self._store.read(self._rows.first, self._blocks)
        if kept is not None and np.array_equal(kept["point"].to_numpy(), points):
            block = self._rows.block(kept)
            self._kept += len(points)
        else:
            block = self._rows.closed(points)
            self._store.write(self._rows.first, self._blocks, self._rows.table(block, self._rows.first))
        self._blocks += 1
        self._points += len(points)
        self._closed_s += float(block.wall_s.sum())
        self._unmeasured.update(self._rows.unmeasured(block))
        return block

    def _met(self, block: Block) -> _Chosen:
        """Count a block, and return its points that meet everything."""
        found = block.taken(self._tally.add(block.points, block.excess))
        cycles = found.metrics.get("cycles", np.full(len(found.points), np.nan))
        return _Chosen(points=found.points, objectives=self._rows.objectives(found), cycles=cycles)

    def _joined(self, parts: Sequence[_Chosen]) -> _Chosen:
        empty = _Chosen(
            points=np.zeros(0, dtype=np.int64), objectives=np.zeros((0, len(self._study.objectives))), cycles=np.zeros(0)
        )
        every = [empty, *parts]
        found = _Chosen(
            points=np.concatenate([part.points for part in every]),
            objectives=np.concatenate([part.objectives for part in every]),
            cycles=np.concatenate([part.cycles for part in every]),
        )
        return found.taken(np.argsort(found.points))

    def _left(self, met: _Chosen) -> np.ndarray:
        """Return the places of the points that are simulated."""
        known = [index for index, each in enumerate(self._study.objectives) if not is_exact_only(each.name)]
        if self._study.exact == "all":
            return np.arange(len(met.points))
        if self._study.exact == "front":
            return np.flatnonzero(front_of_each(met.objectives[:, known], self._space.groups(met.points)))
        return best_of_each(met.objectives[:, known], self._space.groups(met.points), self._study.exact)

    def _simulate(self, points: np.ndarray) -> None:
        """Simulate those points that nothing is known of yet, and keep what is found as it comes."""
        unknown = np.array([point for point in points.tolist() if point not in self._known], dtype=np.int64)
        # Points of one program together, which is then compiled once, and of them those whose runs take the same cycles.
        missing = self._space.grouped(unknown, CYCLE_PATHS, TIMING_PATHS).tolist()
        waiting: list[Outcome] = []
        done, began = 0, time.perf_counter()
        flushed = began
        try:
            for outcomes in self._crew.outcomes(self._space, missing):
                waiting += outcomes
                done += len(outcomes)
                now = time.perf_counter()
                self._listener.progress("exact points", done / len(missing), _pace(done, len(missing), now - began))
                if now - flushed > _FLUSH_S or len(waiting) >= _FLUSH_ROWS:
                    self._flush(waiting)
                    waiting, flushed = [], now
        finally:
            # Also where those who compute went away: what they found is kept.
            self._flush(waiting)
            self._computed += done
            self._spent_s += time.perf_counter() - began

    def _flush(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            block = self._rows.exact(outcomes)
            self._store.write(EXACT, self._next_part, self._rows.table(block, EXACT))
            self._next_part += 1
            self._simulated.append(block)
            self._known.update(block.points.tolist())

    def _exact_of(self, points: np.ndarray) -> Block:
        """Return what was simulated of points, in their order, which is ascending."""
        every = Block.joined(self._simulated)
        every = every.taken(np.argsort(every.points))
        return every.taken(np.searchsorted(every.points, points))

    def _check_any(self, points: np.ndarray, refusals: Sequence[str] = ()) -> None:
        """Raise SpecError where no point is left; refusals: what the exact simulation said of some."""
        if points.size:
            return
        said = [f"{each.constraint!r} rejects {each.points:,}" for each in self._tally.rejections]
        said += [f"no point meets both {each.first!r} and {each.second!r}" for each in self._tally.contradictions]
        said += [_missing(self._unmeasured, self._study, self._store.folder)] if self._unmeasured else []
        said += [f"the first that was simulated was refused ({refusals[0]})"] if refusals else []
        excess, point = self._tally.nearest
        if np.isfinite(excess):
            values = ", ".join(f"{path} {value}" for path, value in self._space.values(point).items())
            said.append(f"the nearest, {values}, misses by {excess:.1%}")
        raise SpecError(f"Study constraints must leave at least one of {self._points:,} points, not none: {'; '.join(said)}")

    def _check_known(self, objectives: np.ndarray) -> None:
        """Raise SpecError where no point that meets the constraints has all objectives, such as a price where no board says one."""
        names = [each.name for each in self._study.objectives]
        known = [index for index, name in enumerate(names) if self._study.is_placement or not is_exact_only(name)]
        is_unknown = np.isnan(objectives[:, known])
        if known and is_unknown.any(axis=1).all():
            lacking = " and ".join(names[index] for index, lacks in zip(known, is_unknown.any(axis=0), strict=True) if lacks)
            raise SpecError(f"Study objectives must all be known of at least one point, not {lacking} of none")

    def _write_csv(self, best_points: Block) -> None:
        every = Block.joined(self._simulated)
        exact_rows = self._rows.table(every.taken(np.argsort(every.points)), EXACT)
        self._store.write_csv("points.csv", [*self._store.parts(self._rows.first), exact_rows])
        is_front = front_of_each(self._rows.objectives(best_points), self._space.groups(best_points.points))
        self._store.write_csv("front.csv", [self._rows.table(best_points.taken(is_front), EXACT)])

    def _exploration(self, chosen: _Chosen, found: Block, are_met: np.ndarray) -> Exploration:
        places = ranked_front(self._rows.objectives(found), are_met, self._space.groups(found.points))
        off = np.abs(chosen.cycles / found.metrics["cycles"] - 1)
        off = off[~np.isnan(off)]
        # Of a run that computed nothing, what the points took when they were.
        count, spent = (self._computed, self._spent_s) if self._computed else (len(found.points), float(found.wall_s.sum()))
        return Exploration(
            study=self._study,
            folder=self._store.folder,
            points=self._points,
            exact_points=len(found.points),
            kept_points=self._kept + len(self._before.intersection(found.points.tolist())),
            closed_points_per_s=self._points / self._closed_s,
            exact_points_per_s=count / spent,
            closed_form_error=FormError(median=float(np.median(off)), worst=float(off.max())) if off.size else None,
            front=tuple(self._design(found.taken(np.array([place]))) for place in places),
            views=(),
            rejected=self._tally.rejections,
            contradictions=self._tally.contradictions,
            unmeasured=dict(self._unmeasured),
        )

    def _design(self, block: Block) -> Design:
        metrics = {name: float(values[0]) for name, values in block.metrics.items() if not np.isnan(values[0])}
        digest = self._space.digests(block.points, self._space.columns(block.points))[0]
        notes = {name: str(texts[0]) for name, texts in block.notes.items()}
        return Design(configuration=digest, values=self._space.values(int(block.points[0])), metrics=metrics, notes=notes)


def _missing(unmeasured: Mapping[Key, int], study: Study, folder: Path) -> str:
    is_shipped = study.name in FILES.names() and load_study(study.name) == study
    return missing_text(unmeasured, study.name if is_shipped else str(folder / STUDY))


def _pace(done: int, total: int, seconds: float) -> str:
    """Return a rate and the time that is left."""
    rate = done / max(seconds, 1e-9)
    return (
        f"{rate:,.0f} points/s, {(total - done) / rate:,.0f} s left"
        if rate >= 10
        else f"{rate:.2g} points/s, {(total - done) / max(rate, 1e-9):,.0f} s left"
    )
