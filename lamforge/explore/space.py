"""The points of a study as arrays: numbers of the grid, columns of values, candidates of the closed form, digests, and requests."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from compiler.pipeline import Request
from hwsim.arch.board import Board, load_board
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import LamforgeError, SpecError
from hwsim.memory.models import MemoryModel, memory_model
from lamforge.explore.accuracy import MEASURED, Accuracies, Key, load_accuracies
from lamforge.explore.axes import PLACES, Value
from lamforge.explore.candidates import Candidates
from lamforge.explore.conditions import Columns
from lamforge.explore.study import Study
from lamforge.flow.target import cache_named, format_named, request_of_network
from models.zoo import shape

__all__ = ["BLOCK", "MOST_POINTS", "Space", "json_text"]

BLOCK = 1 << 16
"""Points that are taken at once."""
MOST_POINTS = 10_000_000
"""Points of a grid."""
_ENGINE = "engine."
_UNITS = {
    field.name: typing.cast(type, hint)
    for field in dataclasses.fields(EngineConfig)
    if dataclasses.is_dataclass(hint := typing.get_type_hints(EngineConfig)[field.name])
}
_SIZES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
_DERIVED = ("context",)
"""Paths that a digest leaves out, since they follow from others."""


class Space:
    """The grid of a study; a point is its number in it, axes varying from the last one on.

    Attributes:
        study: whose grid it is.
        axes: values by path.
        size: points of the grid, those included that meet no condition.
    """

    def __init__(self, study: Study):
        """Raise SpecError for a grid of too many points."""
        self.study, self.axes = study, study.axes
        self.size = math.prod(map(len, self.axes.values()))
        if self.size > MOST_POINTS:
            sizes = " x ".join(f"{len(values):,}" for values in self.axes.values())
            raise SpecError(f"Study axes must span at most {MOST_POINTS:,} points, not {self.size:,} ({sizes})")
        self._shape = tuple(map(len, self.axes.values()))
        # Each space reads its files itself: they may have changed since another was made.
        self._network, self._engine, self._board = functools.cache(shape), functools.cache(load_engine), functools.cache(load_board)
        self._fields = functools.cache(self._fields_of)
        self._are_built: dict[tuple[object, ...], bool] = {}

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the study and of what the files are that it names."""

        def given(path: str) -> list[str]:
            return [str(value) for value in self.axes.get(path, (self.study.base.get(path, PLACES[path].default),))]

        networks = [dataclasses.asdict(self._network(name)) for name in given("network")]
        engines = [self._engine(name).to_dict() for name in given("engine")]
        table = None if self.accuracies is None else self.accuracies.digest
        boards = [repr(self._board(name)) for name in given("board")]
        return hashlib.sha256(json_text([self.study.digest, networks, engines, boards, table]).encode()).hexdigest()

    def values(self, point: int) -> dict[str, Value]:
        """Return the values of a point by path, of the axes alone."""
        places = np.unravel_index(point, self._shape)
        return {path: values[int(place)] for (path, values), place in zip(self.axes.items(), places, strict=True)}

    def point_of(self, values: Mapping[str, Value]) -> int:
        """Return the number of the point with these values of the axes."""
        return int(np.ravel_multi_index([each.index(values[path]) for path, each in self.axes.items()], self._shape))

    def columns(self, points: np.ndarray) -> Columns:
        """Return every path's values as arrays [points], or [] where they do not vary."""
        found = {path: self._column(points, path) for path in self.study.paths if path not in ("attention.window", "context")}
        given, derived, sign = self._extent
        found[given] = self._column(points, given)
        found[derived] = found[given] + sign * found["attention.sinks"]
        return found

    def are_built(self, columns: Columns) -> np.ndarray:
        """Return, as an array that broadcasts to [points], where the parts of the engine can be built and a window is left."""
        fine = columns["attention.window"] >= 1
        for unit, kind in _UNITS.items():
            if not hasattr(kind, "__post_init__"):
                continue
            names = [field.name for field in dataclasses.fields(kind)]
            parts = np.broadcast_arrays(*(columns[f"{_ENGINE}{unit}.{name}"] for name in names))
            rows, inverse = np.unique(np.stack([np.atleast_1d(part) for part in parts]), axis=1, return_inverse=True)
            are_fine = np.array([self._is_built(kind, names, row) for row in rows.T.tolist()])
            fine = fine & are_fine[inverse].reshape(parts[0].shape)
        return fine

    def candidates(self, points: np.ndarray, columns: Columns) -> Candidates:
        """Return points as the closed form takes them, with the columns that they have."""
        engine = {path.rpartition(".")[2]: values for path, values in columns.items() if path.startswith(_ENGINE)}
        sizes = {name: self._made(points, "network", functools.partial(self._size, name)) for name in _SIZES}
        taken = {field.name for field in dataclasses.fields(Candidates)}
        rest = {
            "has_head_norms": self._made(points, "network", functools.partial(self._size, "has_head_norms")),
            "layer_format": self._made(points, "layers.format", _weight_format),
            "head_format": self._made(points, "head.format", _weight_format),
            "cache_format": self._made(points, "cache.format", _cache_format),
            "sinks": columns["attention.sinks"],
            "window": columns["attention.window"],
            "batch": columns["batch"],
            "positions": columns["context"] + engine["tokens"],
            "memory": self._made(points, "memory", _memory_kind),
        }
        return Candidates(**{name: values for name, values in engine.items() if name in taken}, **sizes, **rest)

    def boards(self, points: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return what the boards of points have: `pseudo_channels` and `channel_bytes`, as arrays that broadcast to [points]."""
        return {
            name: self._made(points, "board", functools.partial(self._board_size, name))
            for name in ("pseudo_channels", "channel_bytes")
        }

    @functools.cached_property
    def accuracies(self) -> Accuracies | None:
        """The table of accuracies that the study names, if it does."""
        return None if self.study.accuracy is None else load_accuracies(self.study.accuracy)

    def measured(
        self, points: np.ndarray, columns: Columns, table: Accuracies | None = None
    ) -> tuple[dict[str, np.ndarray], dict[Key, np.ndarray]]:
        """Return the measured metrics of points, NaN where there are none, and which of a table's network lack what row.

        table: of accuracies; None takes that of the study.
        """
        table = self.accuracies if table is None else table
        if table is None:
            return {name: np.full(len(points), np.nan) for name in MEASURED}, {}
        of_table = np.broadcast_to(self._made(points, "network", functools.partial(self._is_alike, table.network)), points.shape)
        found, missing = table.figures(columns, len(points))
        metrics = {name: np.where(of_table, values, np.nan) for name, values in found.items()}
        lacking = {key: points[places[of_table[places]]] for key, places in missing.items()}
        return metrics, {key: lacks for key, lacks in lacking.items() if lacks.size}

    def digests(self, points: np.ndarray, columns: Columns) -> list[str]:
        """Return the hexadecimal SHA-256 of each point's `configuration`."""
        texts: list[list[str]] = []
        fixed, before = "", "{"
        for path in sorted(set(self.study.paths) - set(_DERIVED)):
            fixed, before = f"{fixed}{before}{json_text(path)}:", ","
            values = np.asarray(columns[path])
            if values.ndim == 0:
                fixed += json_text(self._configured(path, values.item()))
                continue
            known, inverse = np.unique(values, return_inverse=True)
            fragments = [fixed + json_text(self._configured(path, value)) for value in known.tolist()]
            texts.append([fragments[index] for index in inverse.tolist()])
            fixed = ""
        ends = [fixed + "}"] * len(points)
        return [hashlib.sha256("".join(parts).encode()).hexdigest() for parts in zip(*texts, ends, strict=True)]

    def configuration(self, point: int) -> str:
        """Return everything that a point is as canonical JSON: values by path in order, engine and network by what they are."""
        found = {path: value for path, value in self._plain(point).items() if path not in _DERIVED}
        return json_text({path: self._configured(path, value) for path, value in found.items()})

    def request(self, point: int) -> tuple[Request, MemoryModel]:
        """Return what the compiler is asked for a point, and the memory that it runs with.

        Raises:
            LamforgeError: the engine cannot be built, or the batch or the pattern does not suit it.
        """
        found = self._plain(point)
        formats = {name: str(found[f"{name}.format"]) for name in ("layers", "head", "cache")}
        request = request_of_network(
            self._network(str(found["network"])),
            self._engine_of(found),
            layers=format_named(formats["layers"]),
            head=format_named(formats["head"]),
            cache=cache_named(formats["cache"]),
            sinks=int(found["attention.sinks"]),
            window=int(found["attention.window"]),
            batch=int(found["batch"]),
        )
        return request, memory_model(str(found["memory"]))

    def board(self, point: int) -> Board:
        """Return the board that `fits: board` means of a point."""
        return self._board(str(self._plain(point)["board"]))

    def board_named(self, name: str) -> Board:
        """Return the board of a name or a file."""
        return self._board(name)

    def meeting(self, points: np.ndarray) -> np.ndarray:
        """Return those points that meet the conditions of the study, in their order."""
        if not self.study.conditions:
            return points
        columns = self.columns(points)
        met = [np.broadcast_to(condition.holds(columns), points.shape) for condition in self.study.conditions]
        return points[np.logical_and.reduce(met)]

    def groups(self, points: np.ndarray) -> np.ndarray:
        """Return for each point a number of its values of `for_each`; numbers ascend as the values do in the study."""
        places = np.unravel_index(points, self._shape)
        number = np.zeros(np.shape(points), dtype=np.int64)
        for path in self.study.for_each:
            number = number * len(self.axes[path]) + places[list(self.axes).index(path)]
        return number

    def group_values(self, group: int) -> dict[str, Value]:
        """Return the values of `for_each` that a number of `groups` stands for, by path."""
        each = [self.axes[path] for path in self.study.for_each]
        places = np.unravel_index(group, tuple(map(len, each))) if each else ()
        return {path: values[int(place)] for path, values, place in zip(self.study.for_each, each, places, strict=True)}

    def grouped(self, points: np.ndarray, *alike: tuple[str, ...]) -> np.ndarray:
        """Return points in an order in which those that differ in nothing but some paths, or below them, follow one another.

        alike: such paths; the first are also among the second, and so on.
        """
        places = dict(zip(self.axes, np.unravel_index(points, self._shape), strict=True))
        # Of keys the last one is the first to sort by.
        keys = [points]
        for inner, outer in itertools.pairwise([(), *alike, ("",)]):
            keys += [place for path, place in places.items() if path.startswith(outer) and not path.startswith(inner)]
        ordered: np.ndarray = points[np.lexsort(keys)]
        return ordered

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the points of the grid that meet the conditions, in blocks; a block may be empty."""
        for first in range(0, self.size, BLOCK):
            yield self.meeting(np.arange(first, min(self.size, first + BLOCK)))

    def _is_given(self, path: str) -> bool:
        return path in self.axes or path in self.study.base

    def _column(self, points: np.ndarray, path: str) -> np.ndarray:
        """Return the values of a path as a study gives them, or the engine that it names."""
        if path.startswith(_ENGINE) and not self._is_given(path):
            return self._made(points, "engine", functools.partial(self._field, path.removeprefix(_ENGINE)))
        return self._made(points, path, lambda value: value)

    def _made(self, points: np.ndarray, path: str, made: Callable[[Value], Value]) -> np.ndarray:
        """Return what is made of each value of a path."""
        if path not in self.axes:
            value = self.study.base.get(path, PLACES[path].default)
            assert value is not None
            return np.array(made(value))
        axis = list(self.axes).index(path)
        table = np.array([made(value) for value in self.axes[path]])
        return table[np.unravel_index(points, self._shape)[axis]]

    def _plain(self, point: int) -> dict[str, Value]:
        """Return every path's value of one point, as `columns` does of many."""
        said = {**self.study.base, **self.values(point)}
        engine = self._fields(str(said.get("engine", PLACES["engine"].default)))
        found: dict[str, Value] = {}
        for path in self.study.paths:
            value = said.get(path, engine.get(path, PLACES[path].default))
            if value is not None:
                found[path] = value
        given, derived, sign = self._extent
        found[derived] = int(found[given]) + sign * int(found["attention.sinks"])
        return found

    @property
    def _extent(self) -> tuple[str, str, int]:
        """What says how far attention reaches, what follows from it, and whether the sinks are added (1) or left out (-1)."""
        return ("attention.window", "context", 1) if self._is_given("attention.window") else ("context", "attention.window", -1)

    def _fields_of(self, name: str) -> Mapping[str, Value]:
        """Return the fields of an engine by path."""
        return {path: self._field(path.removeprefix(_ENGINE), name) for path in self.study.paths if path.startswith(_ENGINE)}

    def _engine_of(self, values: Mapping[str, Value]) -> EngineConfig:
        """Return the engine of one point, of which each value was checked when the study was read."""

        def fields(kind: type, path: str) -> Iterator[tuple[str, Any]]:
            for field in dataclasses.fields(kind):
                if f"{path}{field.name}" in values:
                    yield field.name, values[f"{path}{field.name}"]

        units = {unit: kind(**dict(fields(kind, f"{_ENGINE}{unit}."))) for unit, kind in _UNITS.items()}
        name = self._engine(str(values["engine"])).name
        return EngineConfig(name=name, **dict(fields(EngineConfig, _ENGINE)), **units)

    def _size(self, name: str, network: Value) -> int:
        return typing.cast(int, getattr(self._network(str(network)), name))

    def _is_alike(self, network: str, other: Value) -> bool:
        """Return whether two networks are the same but for their names."""
        first, second = (dataclasses.replace(self._network(str(each)), name="network") for each in (network, other))
        return first == second

    def _board_size(self, name: str, board: Value) -> int:
        return typing.cast(int, getattr(self._board(str(board)).hbm.value, name))

    def _field(self, path: str, engine: Value) -> Value:
        found: object = self._engine(str(engine))
        for name in path.split("."):
            found = getattr(found, name)
        return typing.cast(Value, found)

    def _configured(self, path: str, value: Value) -> object:
        """Return a value as a configuration has it: of an engine its name, of a network its configuration, of a board its name."""
        if path == "network":
            return dataclasses.asdict(self._network(str(value)))
        if path == "engine":
            return self._engine(str(value)).name
        return self._board(str(value)).name if path == "board" else value

    def _is_built(self, kind: type, names: list[str], row: list[int]) -> bool:
        key = (kind, *row)
        if key not in self._are_built:
            try:
                kind(**dict(zip(names, row, strict=True)))
                self._are_built[key] = True
            except LamforgeError:
                self._are_built[key] = False
        return self._are_built[key]


def _weight_format(name: Value) -> int:
    return int(format_named(str(name)))


def _cache_format(name: Value) -> int:
    return int(cache_named(str(name)))


def _memory_kind(name: Value) -> int:
    return int(memory_model(str(name)).kind)


def json_text(value: object) -> str:
    """Return plain values as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
