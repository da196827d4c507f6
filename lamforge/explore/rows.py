"""Rows of results: the figures of points by either fidelity, by how much they miss constraints, and both as columns of a table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa

from hwsim.arch.board import RESOURCES
from hwsim.machine.time import Cause
from lamforge.explore.accuracy import MEASURED, Key
from lamforge.explore.axes import PLACES
from lamforge.explore.closed import closed
from lamforge.explore.conditions import Columns
from lamforge.explore.exact import ExactPoint
from lamforge.explore.executors import Outcome
from lamforge.explore.footprint import footprint, fullness
from lamforge.explore.metrics import METRICS, PROMPT
from lamforge.explore.space import Space
from lamforge.explore.store import CLOSED
from lamforge.explore.study import BOARD, Bound

__all__ = ["BOARD_RESOURCES", "FULLEST", "Block", "Rows"]

_ENGINE, _PROGRAM = "engine", "program"
"""Constraints of every study: the parts of the engine can be built together, and there is a program for it."""
_CAPACITIES = {
    "channel": "engine.channel_bytes",
    "activation": "engine.buffer.activation_segments",
    "result": "engine.buffer.result_words",
    "residual": "engine.buffer.residual_words",
    "parameter": "engine.buffer.parameter_words",
    "side": "engine.buffer.side_words",
    "scale": "engine.buffer.scales",
    "instructions": "engine.control.program_words",
    "batch": "batch",
}
"""More constraints of every study, that each memory suffices: paths of what the closed form says is lacking, by its name there."""
_OTHER_NAMES = {"instructions": "program"}
"""Names of the closed form that stand for something else here."""
_MEASURED = "measured"
"""Constraint of every study that asks for accuracies: that of the point was measured."""
BOARD_RESOURCES = {f"{BOARD} {name}": name for name in RESOURCES}
"""Constraints of `fits: board` that bound a resource in its fullest SLR, and this resource."""
_ON_BOARD = (BOARD, *BOARD_RESOURCES)
"""What `fits: board` bounds: ports and the memory behind them, and of each resource the fullest SLR."""
_PRICE = "price_usd"
_PRICES = (_PRICE, "usd_per_million_tokens")
"""Metrics that are unknown where a board or a device has no price."""
FULLEST, _FULL = "fullest", "fullest_share"
"""Columns of the resource, and the SLR of the board, that is fullest, and how full it is."""
_CAUSES = tuple(cause.name.lower() for cause in Cause)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Points with what is known of them.

    Attributes:
        points: their numbers in the grid.
        metrics: arrays [points] by name; NaN where not known.
        excess: [points, constraints], by how much of its bound a point misses it: above 0 where it does, NaN where not known.
        refusals: sentences with which the exact simulation refused points; empty where it did not.
        causes: cycles of the matrix unit by cause, arrays [points]; NaN where not known.
        wall_s: seconds that each point took.
        notes: texts [points] by name, of what is said of a point beside its figures.
    """

    points: np.ndarray
    metrics: Mapping[str, np.ndarray]
    excess: np.ndarray
    refusals: np.ndarray
    causes: Mapping[str, np.ndarray]
    wall_s: np.ndarray
    notes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def taken(self, places: np.ndarray) -> Block:
        """Return some of the points, by their places or by a mask."""
        return Block(
            points=self.points[places],
            metrics={name: values[places] for name, values in self.metrics.items()},
            excess=self.excess[places],
            refusals=self.refusals[places],
            causes={name: values[places] for name, values in self.causes.items()},
            wall_s=self.wall_s[places],
            notes={name: texts[places] for name, texts in self.notes.items()},
        )

    @classmethod
    def joined(cls, blocks: Sequence[Block]) -> Block:
        """Return the points of at least one block one after the other."""
        return cls(
            points=np.concatenate([block.points for block in blocks]),
            metrics={name: np.concatenate([block.metrics[name] for block in blocks]) for name in blocks[0].metrics},
            excess=np.concatenate([block.excess for block in blocks]),
            refusals=np.concatenate([block.refusals for block in blocks]),
            causes={name: np.concatenate([block.causes[name] for block in blocks]) for name in blocks[0].causes},
            wall_s=np.concatenate([block.wall_s for block in blocks]),
            notes={name: np.concatenate([block.notes[name] for block in blocks]) for name in blocks[0].notes},
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Built:
    """What engines take of their boards, arrays [points]: metrics, how full the fullest SLR is by resource, and which it is."""

    metrics: dict[str, np.ndarray]
    full: Mapping[str, np.ndarray]
    fullest: np.ndarray


class Rows:
    """Makes and reads the rows of one study.

    Attributes:
        first: fidelity of `closed`, which every point gets.
        always: constraints of every study.
        causes, notes: names of these columns of a block.
        constraints: what must hold, in words, in the order of the columns of `Block.excess`.
    """

    first: ClassVar[str] = CLOSED
    always: ClassVar[tuple[str, ...]] = (_ENGINE, _PROGRAM, *_CAPACITIES)
    causes: ClassVar[tuple[str, ...]] = _CAUSES
    notes: ClassVar[tuple[str, ...]] = (FULLEST,)

    def __init__(self, space: Space, code: str):
        self._space, self._study, self._code = space, space.study, code
        self._bounds = self._study.constraints
        names = [name for bound in self._bounds for name in (_ON_BOARD if bound.name == BOARD else (bound.name,))]
        always = (*self.always, *([_MEASURED] * self._study.asks_accuracy))
        self._names = (*always, *names)
        self.constraints = (*always, *(name for bound in self._bounds for name in _words(bound)))

    def closed(self, points: np.ndarray) -> Block:
        """Return points by the closed form."""
        began, count = time.perf_counter(), len(points)
        columns = self._space.columns(points)
        are_built = np.broadcast_to(self._space.are_built(columns), points.shape)
        some = columns if are_built.all() else self._space.columns(points[are_built])
        built = self._built(points, columns, are_built, some)
        metrics = {name: np.full(count, np.nan) for name in METRICS} | built.metrics
        metrics |= self._space.measured(points, columns)[0]
        shares = {name: np.zeros(count) for name in (_PROGRAM, *_CAPACITIES)}
        if are_built.any():
            made = points[are_built]
            found = closed(self._space.candidates(made, some))
            # Where there is no program, the rest means nothing.
            cycles = np.broadcast_to(np.where(found.fits, found.cycles, np.nan), made.shape)
            moved = found.stream_bytes + found.side_read_bytes + found.side_write_bytes
            beat_bytes = some["engine.tile.ports"] * some["engine.tile.port_bits"] / 8
            values = {
                "token_per_s": some["batch"] * some["engine.clock_hz"] / cycles,
                "cycles": cycles,
                "bytes_per_token": np.where(found.fits, moved / some["batch"], np.nan),
                "fraction_of_peak": found.stream_bytes / (cycles * beat_bytes),
            }
            for name, each in values.items():
                metrics[name][are_built] = each
            lacks = np.zeros(made.shape, dtype=bool)
            for name, path in _CAPACITIES.items():
                lacking = np.broadcast_to(found.lacking[_OTHER_NAMES.get(name, name)], made.shape)
                shares[name][are_built] = lacking / some[path]
                lacks |= lacking > 0
            shares[_PROGRAM][are_built] = np.where(found.fits | lacks, 0.0, np.inf)
        shares = {_ENGINE: np.where(are_built, 0.0, np.inf)} | shares
        excess = np.stack([*shares.values(), *self._excess(points, columns, metrics, built)], axis=1)
        nothing = np.full(count, np.nan)
        return Block(
            points=points,
            metrics=metrics,
            excess=excess,
            refusals=np.full(count, "", dtype=object),
            causes=dict.fromkeys(_CAUSES, nothing),
            notes={FULLEST: built.fullest},
            wall_s=np.full(count, (time.perf_counter() - began) / max(1, count)),
        )

    def exact(self, outcomes: Sequence[Outcome]) -> Block:
        """Return points that were simulated to the cycle, or refused."""
        points = np.array([each.point for each in outcomes], dtype=np.int64)
        columns = self._space.columns(points)
        found = [each.found if isinstance(each.found, ExactPoint) else None for each in outcomes]
        metrics = {
            "token_per_s": [np.nan if each is None else each.token_per_s for each in found],
            "cycles": [np.nan if each is None else each.cycles for each in found],
            "bytes_per_token": [np.nan if each is None else (each.stream_bytes + each.side_bytes) / each.tokens for each in found],
            "fraction_of_peak": [np.nan if each is None else each.fraction_of_peak for each in found],
            "token_per_joule": [np.nan if each is None else each.token_per_joule for each in found],
            **{name: [np.nan if (figure := getattr(each, name, None)) is None else figure for each in found] for name in PROMPT},
            "power_w": [np.nan if each is None else each.token_per_s / each.token_per_joule for each in found],
        }
        built = self._built(points, columns, np.ones(len(points), dtype=bool), columns)
        every = {**metrics, **self._space.measured(points, columns)[0], **built.metrics}
        values = {name: np.array(every[name], dtype=np.float64) for name in METRICS}
        shares = {name: np.zeros(len(points)) for name in (_ENGINE, _PROGRAM, *_CAPACITIES)}
        shares[_PROGRAM][[each is None for each in found]] = np.inf
        return Block(
            points=points,
            metrics=values,
            excess=np.stack([*shares.values(), *self._excess(points, columns, values, built)], axis=1),
            notes={FULLEST: built.fullest},
            refusals=np.array([each.found if isinstance(each.found, str) else "" for each in outcomes], dtype=object),
            causes={
                name: np.array([np.nan if each is None else each.causes[name] for each in found], dtype=np.float64)
                for name in _CAUSES
            },
            wall_s=np.array([0.0 if each is None else outcome.spent_s for each, outcome in zip(found, outcomes, strict=True)]),
        )

    def unmeasured(self, block: Block) -> dict[Key, int]:
        """Return which measurements a block lacks that the study asks for, each with how many of its points."""
        if not self._study.asks_accuracy:
            return {}
        places = np.isnan(block.metrics[MEASURED[0]])
        points = block.points[places]
        missing = self._space.measured(points, self._space.columns(points))[1] if points.size else {}
        return {key: len(lacks) for key, lacks in missing.items()}

    def objectives(self, block: Block) -> np.ndarray:
        """Return the objectives of points as an array [points, objectives] in which larger is better; NaN where not known."""
        columns = self._space.columns(block.points)
        signed = [
            (1 if each.is_maximized else -1) * self._figure(each.name, block.metrics, columns, block.points)
            for each in self._study.objectives
        ]
        return np.stack(signed, axis=1)

    def table(self, block: Block, fidelity: str) -> pa.Table:
        """Return points as rows of a table."""
        columns, count = self._space.columns(block.points), len(block.points)
        is_broken = block.excess > 0
        worst = np.where(is_broken, block.excess, -np.inf).max(axis=1, initial=-np.inf)
        parts: dict[str, pa.Array] = {
            "configuration": pa.array(self._space.digests(block.points, columns), pa.string()),
            "code": pa.array([self._code] * count, pa.string()),
            "fidelity": pa.array([fidelity] * count, pa.string()),
            "point": pa.array(block.points, pa.int64()),
        }
        for path in self._space.axes:
            values = np.broadcast_to(columns[path], block.points.shape)
            kind = pa.string() if PLACES[path].is_text else pa.int64() if PLACES[path].is_whole else pa.float64()
            parts[path] = pa.array(values.tolist() if PLACES[path].is_text else values, kind)
        for name, values in block.metrics.items():
            parts[name] = pa.array(values, pa.float64(), from_pandas=True)
        for index, name in enumerate(self._names):
            parts[f"excess.{name}"] = pa.array(block.excess[:, index], pa.float64(), from_pandas=True)
        parts["rejected_by"] = pa.array(self._texts(is_broken), pa.string())
        parts["rejected_excess"] = pa.array(worst, pa.float64(), mask=~np.isfinite(worst))
        parts["refusal"] = pa.array(block.refusals.tolist(), pa.string())
        for name, values in block.causes.items():
            parts[f"matrix.{name}"] = pa.array(values, pa.float64(), from_pandas=True)
        for name, texts in block.notes.items():
            parts[name] = pa.array(texts.tolist(), pa.string())
        parts["wall_s"] = pa.array(block.wall_s, pa.float64())
        return pa.table(parts)

    def block(self, rows: pa.Table) -> Block:
        """Return the points that a table of `table` holds."""

        def column(name: str) -> np.ndarray:
            found: np.ndarray = rows[name].to_numpy()
            return found

        return Block(
            points=column("point"),
            metrics={name: column(name) for name in self._study.metrics},
            excess=np.stack([column(f"excess.{name}") for name in self._names], axis=1),
            refusals=np.array(rows["refusal"].to_pylist(), dtype=object),
            causes={name: column(f"matrix.{name}") for name in self.causes},
            wall_s=column("wall_s"),
            notes={name: np.array(rows[name].to_pylist(), dtype=object) for name in self.notes},
        )

    def _texts(self, is_broken: np.ndarray) -> list[str]:
        """Return the names of the constraints that each point breaks, with commas between."""
        codes = is_broken @ (1 << np.arange(len(self._names), dtype=np.int64))
        known, inverse = np.unique(codes, return_inverse=True)
        texts = [", ".join(name for index, name in enumerate(self.constraints) if code >> index & 1) for code in known.tolist()]
        return [texts[index] for index in inverse.tolist()]

    def _figure(self, name: str, metrics: Mapping[str, np.ndarray], columns: Columns, points: np.ndarray) -> np.ndarray:
        values = metrics[name] if name in metrics else columns[name]
        return np.broadcast_to(values, points.shape).astype(np.float64)

    def _built(self, points: np.ndarray, columns: Columns, are_built: np.ndarray, made: Columns) -> _Built:
        """Return what the engines of points take of their boards; nothing is known of those that cannot be built.

        made: columns of those that can.
        """
        metrics = {name: np.full(len(points), np.nan) for name in (*RESOURCES, _PRICE, _FULL)}
        full = {name: np.full(len(points), np.nan) for name in RESOURCES}
        fullest = np.full(len(points), "", dtype=object)
        names = np.broadcast_to(columns["board"], points.shape)
        circuits = footprint(points[are_built], made) if are_built.any() else None
        for board in np.unique(names).tolist():
            here = names == board
            data = self._space.board_named(board)
            metrics[_PRICE][here] = np.nan if data.price is None else float(data.price.value.value)
            if circuits is None:
                continue
            some = here & are_built
            shares, places = fullness(circuits, data)
            circuit = circuits.circuit[some[are_built]]
            for name, values in shares.items():
                metrics[name][some] = circuits.resources[name][circuit]
                full[name][some] = values[circuit]
            metrics[_FULL][some] = np.max([full[name][some] for name in RESOURCES], axis=0)
            texts = np.array([[f"{name} in {slr.name}" for slr in data.slrs.value] for name in RESOURCES], dtype=object)
            fullest[some] = texts[tuple(places[:, circuit])]
        return _Built(metrics=metrics, full=full, fullest=fullest)

    def _excess(
        self, points: np.ndarray, columns: Columns, metrics: Mapping[str, np.ndarray], built: _Built | None = None
    ) -> list[np.ndarray]:
        """Return by how much points miss each constraint of the study, that of what was measured first where it asks for it."""
        shares = []
        if self._study.asks_accuracy:
            is_unknown = np.logical_or.reduce([np.isnan(metrics[name]) for name in MEASURED])
            shares.append(np.where(is_unknown, np.inf, 0.0))
        for bound in self._bounds:
            if bound.name == BOARD and built is not None:
                shares.append(np.broadcast_to(self._over_board(points, columns), points.shape))
                shares += [np.nan_to_num(built.full[name] - 1, nan=0.0) for name in RESOURCES]
            else:
                missed = _missed(self._figure(bound.name, metrics, columns, points), bound)
                if bound.name in _PRICES:
                    # What nobody has priced meets no bound on its price, nor does what cannot run need another reason.
                    missed = np.where(np.isnan(missed) & ~np.isnan(metrics["token_per_s"]), np.inf, missed)
                shares.append(missed)
        return shares

    def _over_board(self, points: np.ndarray, columns: Columns) -> np.ndarray:
        """Return by how much of what the board has the engine's memory is over it; a negative number where it fits."""
        board = self._space.boards(points)
        ports = columns["engine.tile.ports"] / board["pseudo_channels"] - 1
        return np.maximum(ports, columns["engine.channel_bytes"] / board["channel_bytes"] - 1)


def _words(bound: Bound) -> tuple[str, ...]:
    return _ON_BOARD if bound.name == BOARD else (str(bound),)


def _missed(values: np.ndarray, bound: Bound) -> np.ndarray:
    """Return by how much of a bound values miss it; 0 or less where they meet it."""
    sides = [
        sign * (values - limit) / (abs(limit) or 1.0)
        for sign, limit in ((-1, bound.at_least), (1, bound.at_most))
        if limit is not None
    ]
    return np.maximum.reduce(sides)
