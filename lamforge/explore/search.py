"""Which points of a study are looked at: all, some drawn, or those that a sampler of Optuna asks for."""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.errors import SpecError
from lamforge.explore.axes import PLACES
from lamforge.explore.space import BLOCK, Space
from lamforge.explore.study import Study

if TYPE_CHECKING:
    import optuna

__all__ = ["Judged", "check_search", "points_of", "sampled"]

_COUNT, _TRIALS = 1000, 200
_AT_ONCE = 16
"""Trials that Optuna is asked for before it is told of any of them, whoever computes: so its questions are always the same."""
_WORST = 1e30
"""Stands for what has no number: Optuna takes finite ones alone."""


def points_of(space: Space) -> Iterator[np.ndarray]:
    """Yield the points of a grid, or those drawn of it, that meet the conditions, in blocks of which some may be empty."""
    search = space.study.search
    if search.method == "grid":
        yield from space.blocks()
        return
    missing = _COUNT if search.count is None else search.count
    order = np.random.default_rng(search.seed).permutation(space.size)
    for first in range(0, space.size, BLOCK):
        found = space.meeting(order[first : first + BLOCK])[:missing]
        missing -= len(found)
        yield found
        if not missing:
            return


def check_search(study: Study) -> None:
    """Raise SpecError where what searches is not installed."""
    if study.search.method == "optuna" and importlib.util.find_spec("optuna") is None:
        raise SpecError("Optuna must be installed for its search, as the extra lamforge[explore] does, and is not")


@dataclasses.dataclass(frozen=True)
class Judged:
    """What is known of points: [points, objectives], larger being better, and excesses [points, constraints]."""

    objectives: np.ndarray
    excess: np.ndarray


def sampled(
    space: Space, constraints: Sequence[str], judge: Callable[[np.ndarray], Judged], progress: Callable[[float], None]
) -> None:
    """Let a sampler of Optuna choose points of a study, and have each judged; the same ones for the same seed.

    judge: given points that meet the conditions, each once.
    """
    import optuna

    search = space.study.search
    trials = _TRIALS if search.trials is None else search.trials
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # What Optuna calls experimental is held by the bounds of its version.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler
        if search.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(seed=search.seed)
        else:
            sampler = optuna.samplers.NSGAIISampler(seed=search.seed)
        directions = [optuna.study.StudyDirection.MAXIMIZE] * len(space.study.objectives)
        asking = optuna.create_study(directions=directions, sampler=sampler)
        for first in range(0, trials, _AT_ONCE):
            asked = [asking.ask() for _ in range(min(_AT_ONCE, trials - first))]
            points = np.array([_point(space, trial) for trial in asked])
            met = space.meeting(np.unique(points))
            judged = judge(met) if met.size else Judged(np.zeros((0, len(directions))), np.zeros((0, len(constraints))))
            for trial, point in zip(asked, points.tolist(), strict=True):
                place = int(np.searchsorted(met, point))
                is_met = place < len(met) and int(met[place]) == point
                excess = judged.excess[place] if is_met else np.zeros(len(constraints))
                objectives = judged.objectives[place] if is_met else np.full(len(directions), -_WORST)
                trial.set_constraint("conditions", 0.0 if is_met else _WORST)
                for name, value in zip(constraints, np.nan_to_num(excess, nan=0.0, posinf=_WORST).tolist(), strict=True):
                    trial.set_constraint(name, value)
                asking.tell(trial, np.nan_to_num(objectives, nan=-_WORST, posinf=_WORST, neginf=-_WORST).tolist())
            progress(min(1.0, (first + len(asked)) / trials))


def _point(space: Space, trial: optuna.Trial) -> int:
    """Return the point that a trial is asked for: of every axis, the place of its value."""
    point = 0
    for path, values in space.axes.items():
        if PLACES[path].is_text:
            place = int(trial.suggest_categorical(path, tuple(range(len(values)))))
        else:
            place = trial.suggest_int(path, 0, len(values) - 1)
        point = point * len(values) + place
    return point
