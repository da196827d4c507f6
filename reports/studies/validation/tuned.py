"""The constants that were chosen so that published rows come out right, and how each row fares that is left out of that choice.

Constants are chosen together: they make the sum of the squared errors of all rows (logarithms of ours over the published figure,
in units of ROW_ERROR or SHARE_ERROR) least, and with them the sum of the squared distances of each constant from the middle of its
physical range (in units of half that range). The second sum is what a constant falls back on where the one row that says something
of it is left out. Logarithms of figures are taken to be linear in those of the constants, as they are at the constants' values;
`make test-long` compares with choices that are made anew.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hwsim.offload.changes import changed
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["ROW_ERROR", "TUNED", "Found", "Key", "Tuned", "Tuning", "by_place", "tuning"]

ROW_ERROR = 0.05
"""Error that a row is expected to have at best: publications print two digits, and runs differ by as much."""
SHARE_ERROR = 0.02
"""The same of a share of a time, in percent, which is printed with three digits and is of one run."""
_STEP = 0.99
"""Factor by which a constant is changed to see what rows do."""
_FIFTH = 1.2
_DIGITS = 6
"""Of errors; processors round differently beyond."""

_MATTERS = 0.05
"""Change of a row's figure, over that of a constant, from which on the row says something of the constant."""

Floats = npt.NDArray[np.float64]
Key = tuple[str, str]
"""Names of a set and of a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuned:
    """A constant that rows were chosen for.

    Attributes:
        name: as `hwsim.offload.changes` has it; several with blanks between where one constant has several places.
        least, most: of its physical range, over its value.
        why: what bounds it.
    """

    name: str
    least: float
    most: float
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What rows say of a constant.

    Attributes:
        tuned: the constant.
        rows: rows whose figure changes by more than a twentieth of the constant's change.
        step: factor by which all rows together would have it now; 1 where it is the best.
        error: root mean square of the errors of these rows, as a fraction.
        error_off: the same with the constant 20 % larger or smaller, the more of the two.
    """

    tuned: Tuned
    rows: tuple[Key, ...]
    step: float
    error: float
    error_off: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """Errors of rows without their signs: how many there are, their median, what 95 % of them are within, and the worst."""

    rows: int
    median: float
    most: float
    worst: float

    @classmethod
    def of(cls, errors: Iterable[float]) -> "Summary":
        """Return the summary of errors, at least one."""
        found = np.abs(np.array(list(errors)))
        return cls(rows=len(found), median=float(np.median(found)), most=float(np.quantile(found, 0.95)), worst=float(found.max()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuning:
    """Rows and constants.

    Attributes:
        left_out: error of each row with the constants chosen without it, as a fraction of the published figure.
        constants: what rows say of each.
    """

    left_out: Mapping[Key, float]
    constants: tuple[Found, ...]

    @property
    def summary(self) -> "Summary | None":
        """How far off rows are that are left out; None where there are none."""
        return Summary.of(self.left_out.values()) if self.left_out else None


_RATE = "a part of what the hardware has at most"
TUNED: tuple[Tuned, ...] = (
    Tuned(name="a100-sxm-80.attention_share", least=0.65, most=1.2, why=_RATE),
    Tuned(
        name="a100-sxm-80.prompt_attention_share", least=0.6, most=1.4, why="0.37 to 0.85 of the peak, as kernels of these years"
    ),
    Tuned(
        name="a100-sxm-80.launch a100-sxm-80.product_launch a100-sxm-80.attention_launch",
        least=0.3,
        most=2.2,
        why="2 to 12 us, a launch from a graph to one from Python",
    ),
    Tuned(name="t4.memory_share", least=0.75, most=1.2, why=_RATE),
    Tuned(
        name="flexgen-gcp.attention_rate", least=0.3, most=3.0, why="5 to 48 GFLOP/s, what reading the cache at 5 to 48 GB/s gives"
    ),
    Tuned(name="flexgen.rates.unpacking", least=0.3, most=3.0, why="4 to 40 passes over a tensor"),
    Tuned(name="flexgen-gcp.pageable_rate", least=0.5, most=3.9, why="1.7 GB/s, a copy within the host, to that of pinned memory"),
    Tuned(name="flexgen.rates.fault_rate", least=0.3, most=3.7, why="0.08 to 1 GB/s: 4 to 50 us for a page of 4 KB"),
    Tuned(name="flexgen-cloud.file_share", least=0.5, most=2.0, why="1.4 GB/s, the drive, to twice as much as now from kept pages"),
    Tuned(name="u280-accllm.memory_share", least=0.5, most=1.4, why=_RATE),
    Tuned(name="u280-flightllm.memory_share", least=0.7, most=2.3, why=_RATE),
    Tuned(
        name="instinfer.engine_rate",
        least=0.3,
        most=15.0,
        why="13 GFLOP/s, one path of the engine, to 650, the roof that its authors draw",
    ),
    Tuned(
        name="instinfer.sequence_cost drive-cache.sequence_cost",
        least=0.1,
        most=5.0,
        why="0.03 to 1.5 ms, one copy of a query to tens of calls",
    ),
    Tuned(name="drive-cache.kept_rate", least=0.3, most=5.0, why="0.5 to 8 GB/s, copies by one core"),
    Tuned(name="980-pro.file_share", least=0.3, most=5.0, why="0.3 GB/s, single pages, to 5"),
    Tuned(name="shadowkv.gather_share", least=0.5, most=1.2, why=_RATE),
    Tuned(
        name="shadowkv.head_rate",
        least=0.3,
        most=3.0,
        why="0.15 to 1.4 GB/s: some hundred bytes to some KB under way, at 1 to 2 us",
    ),
    Tuned(name="shadowkv.layer_cost", least=0.1, most=3.0, why="0.02 to 0.6 ms, 3 to 100 launches"),
    Tuned(name="shadowkv.pick_rate", least=0.3, most=3.0, why="10 to 100 thousand million scores a second"),
    Tuned(name="shadowkv.attention_share", least=0.5, most=1.6, why=_RATE),
    Tuned(name="epyc-9754.memory_rate", least=0.15, most=5.1, why="13 GB/s, one core, to 460, all channels"),
    Tuned(
        name="triforce-4090-x2.acceptance triforce-4090.acceptance",
        least=0.95,
        most=1.04,
        why="0.9 with a part of 4,096 tokens, to 0.985",
    ),
    Tuned(name="triforce.pass_cost", least=0.2, most=3.0, why="1 to 15 ms of sampling and Python"),
    Tuned(name="gpu.pipeline_share", least=0.6, most=1.6, why="0.3 to 0.82 of the peak"),
    Tuned(name="gpu.pipeline_layer", least=0.1, most=3.0, why="2 to 50 ms of Python for a layer"),
    Tuned(name="gpu.pipeline_head", least=0.05, most=3.0, why="0.03 to 1.5 ms, a launch to tens of them"),
    Tuned(name="zero.layer_cost", least=0.2, most=10.0, why="0.3 to 15 ms of hooks, three for each module of a layer"),
    Tuned(name="zero.drive_cost", least=0.1, most=5.0, why="0.8 to 40 ms, the latency of some to all reads of a layer"),
    Tuned(name="zero-v100.copy_share", least=0.6, most=1.28, why=_RATE),
    Tuned(name="zero-t4.copy_share", least=0.6, most=1.28, why=_RATE),
    Tuned(name="zero-a6000.memory_rate", least=0.3, most=5.0, why="10 GB/s, one core, to 200, the channels of a server"),
    Tuned(name="zero-a6000.pageable_rate", least=0.3, most=1.4, why="6 GB/s, one core that copies, to that of pinned memory"),
)
"""Every constant with kind `derived` whose source names rows of the sets."""


def tuning(constants: Sequence[Tuned], sets: Sequence[ValidationSet], factors: Mapping[str, float] | None = None) -> Tuning:
    """Return how rows of sets fare when they are left out, and what they say of the constants; takes seconds.

    factors: by which constants were changed before, by name; the rows of the sets were computed with them.
    """
    before = by_place(factors or {})
    keys = [(each.name, row.case) for each in sets for row in each.rows]
    owners, rows = zip(*(_owners(each, before) for each in sets), strict=True)
    errors = _errors(rows)
    slopes = np.stack([_slope(constant, sets, owners, errors, before) for constant in constants], axis=1)
    ranges = np.array([math.log(constant.most / constant.least) / 2 for constant in constants])
    middles = np.array([math.log(constant.most * constant.least) / 2 for constant in constants])
    # Rows of the least squares: those of the sets, and one for each constant.
    expected = np.array([SHARE_ERROR if row.unit == "%" else ROW_ERROR for each in sets for row in each.rows])
    scaled, aims = slopes / expected[:, np.newaxis], errors / expected
    normal = scaled.T @ scaled + np.diag(1 / ranges**2)
    right = middles / ranges**2 - scaled.T @ aims
    steps = np.exp(np.linalg.solve(normal, right))
    # Without a row: its part of both sides of the normal equations is taken off.
    alone = [np.linalg.solve(normal - np.outer(row, row), right + row * aim) for row, aim in zip(scaled, aims, strict=True)]
    left_out = np.expm1(errors + np.einsum("ij,ij->i", slopes, np.array(alone))).round(_DIGITS)
    return Tuning(
        left_out=dict(zip(keys, left_out.tolist(), strict=True)),
        constants=tuple(
            _found(constant, keys, errors, slopes[:, place], round(float(steps[place]), _DIGITS))
            for place, constant in enumerate(constants)
        ),
    )


def by_place(factors: Mapping[str, float]) -> dict[str, float]:
    """Return factors of constants for every place that a constant has."""
    return {place: factor for name, factor in factors.items() for place in name.split()}


def _found(constant: Tuned, keys: Sequence[Key], errors: Floats, slope: Floats, step: float) -> Found:
    matters = np.abs(slope) > _MATTERS
    off = [errors + slope * sign * math.log(_FIFTH) for sign in (-1, 1)]
    now, less, more = (float(np.sqrt(np.mean(each[matters] ** 2))) if matters.any() else 0.0 for each in (errors, *off))
    rows = tuple(key for key, is_one in zip(keys, matters, strict=True) if is_one)
    return Found(tuned=constant, rows=rows, step=step, error=round(now, _DIGITS), error_off=round(max(less, more), _DIGITS))


def _errors(groups: Iterable[Iterable[Row]]) -> Floats:
    return np.array([math.log(row.ours / row.published) for rows in groups for row in rows])


def _owners(each: ValidationSet, before: Mapping[str, float]) -> tuple[set[str], tuple[Row, ...]]:
    """Return the owners of constants behind a set's rows, and the rows."""
    with changed(before) as owners:
        return owners, tuple(each.compute())


def _slope(
    constant: Tuned, sets: Sequence[ValidationSet], owners: Sequence[set[str]], errors: Floats, before: Mapping[str, float]
) -> Floats:
    """Return by how much the logarithm of each row's figure changes with that of a constant."""
    names = constant.name.split()
    own = {name.partition(".")[0] for name in names}
    with changed({**before, **{name: before.get(name, 1.0) * _STEP for name in names}}):
        after = _errors(each.compute() if own & some else each.rows for each, some in zip(sets, owners, strict=True))
    return (after - errors) / math.log(_STEP)
