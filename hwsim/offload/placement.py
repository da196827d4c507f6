"""The best placement: how much of weights, cache and activations goes to GPU, host and drive, and in which batches.

With the batches fixed, times and room are linear in the shares, so the best shares solve a linear program, as in FlexGen
(arXiv 2303.06865, section 4.3). Its coefficients are not written down again: they are differences of the model's own answers
between placements with everything in one place. HiGHS solves it, as SciPy has it.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.systems.flexgen import FlexGen, Split

__all__ = ["Placed", "best_placement", "search"]

_SHARES = 5
"""What is chosen: weights on GPU and host, cache on GPU and host, the rest of both being on the drive; activations on the GPU, the
rest being on the host. FlexGen's code has no activations on drives either."""
_SPLIT = 4
"""Number of shares of weights and cache, the two that are split over three places."""
_GRAINS = 10_000
"""Number of smallest steps of a share in a whole tensor."""
_TIE = 1e-6
"""Reward for a share that is not on the drive, as a part of the time of the slowest part of a layer."""
_TOLERANCE = 1e-6
"""Part of a share by which the solver may miss a limit."""

Floats = npt.NDArray[np.float64]
Affine = tuple[Floats, Floats]
"""Constants [n] and coefficients [n, shares] of n functions of the shares."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    """A placement with its answer."""

    system: FlexGen
    work: Workload
    answer: Answer

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens over the whole time."""
        return float(self.answer.tokens_per_second)


def best_placement(system: FlexGen, work: Workload) -> Placed | None:
    """Return the fastest placement of a workload in the system's batches; None where the workload does not fit in any placement.

    Raises:
        SpecError: the system does not overlap, so that no placement hides anything.
    """
    if not system.has_overlap:
        raise SpecError(f"System {system.name} must overlap copies and computation for a search")
    corners = [_placed(system, shares) for shares in (np.zeros(_SHARES), *np.eye(_SHARES))]
    steps = float(np.subtract(work.generated, 1))
    prompt = _affine([[float(part.time.value) for part in corner.prompt_parts(work)] for corner in corners])
    first = _affine([[float(corner.step_parts(work)[0].time.value)] for corner in corners])
    step = _affine([[float(part.time.value) for part in corner.step_parts(work)[1]] for corner in corners])
    room = _affine([[float(tier.used.value / tier.capacity.value) - 1 for tier in corner.tiers(work)] for corner in corners])
    costs, rows, limits = _program(prompt, first, step, room, steps)
    # Loaded here: whoever explores, and every process that works for it, does without.
    from scipy.optimize import linprog

    found = linprog(costs, A_ub=rows, b_ub=limits, bounds=(0, None), method="highs")
    if found.status != 0:
        return None
    system = _placed(system, _rounded(np.clip(found.x[:_SHARES], 0.0, 1.0)))
    return Placed(system=system, work=work, answer=system.answer(work))


def search(system: FlexGen, work: Workload, batches: Iterable[int], counts: Iterable[int]) -> Placed:
    """Return the fastest placement over sizes of a GPU batch and numbers of them, the host attending or not.

    work: its batch is not used.

    Raises:
        SpecError: nothing fits.
    """
    attending = (False, True) if system.host.attention_rate is not None else (False,)
    best: Placed | None = None
    counts = tuple(counts)
    for batch in batches:
        for count in counts:
            for has_host_attention in attending:
                each = dataclasses.replace(system, batches=count, has_host_attention=has_host_attention)
                found = best_placement(each, dataclasses.replace(work, batch=float(batch * count)))
                if found is not None and (best is None or found.tokens_per_second > best.tokens_per_second):
                    best = found
    if best is None:
        raise SpecError(f"System {system.name} must hold {work.network.name} in some placement, but it does not fit in any")
    return best


def _placed(system: FlexGen, shares: Floats) -> FlexGen:
    weights, cache = (Split(gpu=100 * gpu, host=100 * host) for gpu, host in shares[:_SPLIT].reshape(-1, 2).tolist())
    on_gpu = 100 * float(shares[_SPLIT])
    activations = Split(gpu=on_gpu, host=100 - on_gpu)
    return dataclasses.replace(system, weights=weights, cache=cache, activations=activations, has_whole_matrices=False)


def _affine(values: Sequence[Sequence[float]]) -> Affine:
    """Return the n linear functions that take the given values at the corners."""
    table = np.array(values)
    return table[0], (table[1:] - table[0]).T


def _program(prompt: Affine, first: Affine, step: Affine, room: Affine, steps: float) -> tuple[Floats, Floats, Floats]:
    """Return costs [v], rows [r, v] and limits [r] of rows @ v <= limits, v at least 0: shares, then time of prompt and of step.

    Times are in units of the slowest part, so that the solver's tolerances mean the same for every machine.
    """
    unit = max(float(np.abs(part).max()) for parts in (prompt, first, step) for part in parts) or 1.0
    costs = np.concatenate([first[1][0] * steps, [1.0 * unit, steps * unit]]) / unit
    # Of placements that are as fast, the one with less on the drive.
    costs[:_SPLIT] -= _TIE
    rows: list[Floats] = []
    limits: list[float] = []
    for which, (constants, coefficients) in enumerate((prompt, step)):
        for constant, coefficient in zip(constants, coefficients, strict=True):
            rows.append(np.concatenate([coefficient / unit, -np.eye(2)[which]]))
            limits.append(-float(constant) / unit)
    for constant, coefficient in zip(*room, strict=True):
        rows.append(np.concatenate([coefficient, np.zeros(2)]))
        limits.append(-float(constant) - _rounding(coefficient))
    for places in ((0, 1), (2, 3), (_SPLIT,)):
        rows.append(np.isin(np.arange(_SHARES + 2), places).astype(float))
        limits.append(1.0)
    return costs, np.array(rows), np.array(limits)


def _rounding(coefficient: Floats) -> float:
    """Return how much more memory rounding may take: shares on the GPU become smaller, those on the host smaller or larger."""
    gpu, host = np.append(coefficient[:_SPLIT:2], coefficient[_SPLIT]), coefficient[1:_SPLIT:2]
    moved = np.maximum(-gpu, 0.0).sum() + np.abs(host).sum()
    return float(moved / _GRAINS + _TOLERANCE * np.abs(coefficient).sum())


def _rounded(shares: Floats) -> Floats:
    """Return shares in whole grains, down; where all of a tensor is on GPU and host, the host has the rest."""
    down = np.floor(shares * _GRAINS + 1e-3) / _GRAINS
    pairs, kept = shares[:_SPLIT].reshape(-1, 2), down[:_SPLIT].reshape(-1, 2)
    is_whole = pairs.sum(axis=1) > 1 - 1e-6
    on_host = np.where(is_whole, 1 - kept[:, 0], kept[:, 1])
    return np.concatenate([np.stack([kept[:, 0], on_host], axis=1).ravel(), down[_SPLIT:]])
