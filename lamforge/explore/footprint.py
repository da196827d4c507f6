"""What the engines of points take of their boards: resources by the fitted model, and how full the fullest SLR gets."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from hwsim.arch.board import RESOURCES, Board
from hwsim.arch.config import EngineConfig
from lamforge.explore.conditions import Columns
from lamforge.flow.resources import FIELDS, Fields, Parts, distinct, fields_of_engine, resource_model, slr_shares

__all__ = ["Footprint", "footprint", "footprint_of", "fullness"]

_ENGINE = "engine."


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Footprint:
    """The distinct circuits among points.

    Attributes:
        fields: values of FIELDS, arrays [circuits].
        parts: what each part of them takes.
        circuit: the number of each point's circuit.
    """

    fields: Fields
    parts: Parts
    circuit: np.ndarray

    @functools.cached_property
    def used(self) -> np.ndarray:
        """What parts take of RESOURCES, [parts, RESOURCES, circuits]."""
        shape = self.fields["tile.ports"].shape
        return np.array([[np.broadcast_to(part[name], shape) for name in RESOURCES] for part in self.parts.values()])

    @functools.cached_property
    def resources(self) -> Mapping[str, np.ndarray]:
        """What circuits take, by name of RESOURCES, arrays [circuits]."""
        return dict(zip(RESOURCES, self.used.sum(axis=0), strict=True))


def footprint(points: np.ndarray, columns: Columns) -> Footprint:
    """Return what the engines of points take; each circuit is looked at once, whatever clock, network or formats it has."""
    values = {path: np.asarray(columns[f"{_ENGINE}{path}"]) for path in FIELDS}
    varied = [path for path, each in values.items() if each.ndim]
    if varied:
        first, circuit = distinct(np.stack([values[path] for path in varied]).astype(np.int64))
    else:
        first, circuit = np.zeros(1, dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    fields = {path: each[first] if each.ndim else np.broadcast_to(each, first.shape) for path, each in values.items()}
    return Footprint(fields=fields, parts=resource_model().parts(fields), circuit=circuit)


def footprint_of(engine: EngineConfig) -> Footprint:
    """Return what one engine takes."""
    fields = {path: np.atleast_1d(values) for path, values in fields_of_engine(engine).items()}
    return Footprint(fields=fields, parts=resource_model().parts(fields), circuit=np.zeros(1, dtype=np.int64))


def fullness(found: Footprint, board: Board) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """Return how full the fullest SLR of a board gets with each circuit, and which one that is.

    The first is by name of RESOURCES the part of what may be used there, arrays [circuits]: the board's fill of what the SLR leaves
    free. The second is, for the resource that is fullest, its number in RESOURCES and that of the SLR, int64 [2, circuits].
    """
    ports = found.fields["tile.ports"]
    names = [(unit, name) for unit, _, name in (part.partition("/") for part in found.parts)]
    limits = np.array([[board.slr_limit(slr, name) for name in RESOURCES] for slr in board.slrs.value])
    full = np.zeros((len(limits), len(RESOURCES), len(ports)))
    for count in np.unique(ports).tolist():
        some = ports == count
        shares = slr_shares(names, count, board)
        full[:, :, some] = np.einsum("sp,prc->src", shares, found.used[:, :, some]) / limits[:, :, None]
    worst = full.max(axis=0)
    fullest = worst.argmax(axis=0)
    return dict(zip(RESOURCES, worst, strict=True)), np.stack([fullest, full[:, fullest, np.arange(len(ports))].argmax(axis=0)])
