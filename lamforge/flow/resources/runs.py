"""The runs of Yosys that the model of resources is made of, as files: parts, whole engines that it has not seen, their origin."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hwsim.arch.board import RESOURCES
from hwsim.plain import csv_text
from lamforge.flow.resources.terms import FIELDS, Fields

__all__ = [
    "ENGINES",
    "ORIGIN",
    "PARTS",
    "Origin",
    "PartRun",
    "engine_runs",
    "engines_text",
    "kept",
    "origin",
    "part_runs",
    "parts_text",
]

PARTS, ENGINES, ORIGIN = "parts.csv", "engines.csv", "origin.json"
"""Files beside this one: runs of parts that the model is fitted to, whole engines that it has not seen, and where both are from."""


class PartRun(NamedTuple):
    """One part as Yosys synthesized it.

    Attributes:
        part: unit and name.
        copies: how many an engine has, of COPIES.
        fields: values of the fields that it depends on.
        resources: of one copy, in the order of RESOURCES.
    """

    part: str
    copies: str
    fields: Mapping[str, int]
    resources: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the runs are from.

    Attributes:
        tool, amaranth: Yosys and its version, and the version of Amaranth, which writes the Verilog.
        date: day on which they were made, `2026-11-30`.
        seed: of the engines that were drawn; None of runs that were made before there was `lamforge study resources`.
        forms: of some engines by name, the digest of the modules of each part.
    """

    tool: str
    amaranth: str
    date: str
    seed: int | None
    forms: Mapping[str, Mapping[str, str]]


def kept(name: str) -> str:
    """Return the text of one of PARTS, ENGINES and ORIGIN."""
    return importlib.resources.files(__package__ or "").joinpath(name).read_text()


@functools.cache
def origin() -> Origin:
    """Return where the kept runs are from."""
    return Origin(**json.loads(kept(ORIGIN)))


def part_runs(text: str) -> list[PartRun]:
    """Return the runs of a text of PARTS."""
    found = []
    for row in csv.DictReader(text.splitlines()):
        fields = {path: int(row[path]) for path in FIELDS if row[path]}
        found.append(PartRun(row["part"], row["copies"], fields, tuple(float(row[name]) for name in RESOURCES)))
    return found


def parts_text(runs: Sequence[PartRun]) -> str:
    """Return runs as a text of PARTS: part by part, in the order of their fields."""
    rows = sorted(runs, key=lambda run: (run.part, tuple(run.fields.values())))
    cells = ((run.part, run.copies, *(run.fields.get(path, "") for path in FIELDS), *map(_shown, run.resources)) for run in rows)
    return csv_text([("part", "copies", *FIELDS, *RESOURCES), *cells])


def engine_runs(text: str) -> tuple[Fields, Mapping[str, np.ndarray]]:
    """Return the fields and the resources, by name of RESOURCES, of a text of ENGINES; arrays [engines]."""
    rows = list(csv.DictReader(text.splitlines()))
    fields = {path: np.array([int(row[path]) for row in rows]) for path in FIELDS}
    return fields, {name: np.array([float(row[name]) for row in rows]) for name in RESOURCES}


def engines_text(fields: Fields, resources: Mapping[str, np.ndarray]) -> str:
    """Return fields and resources of engines, arrays [engines], as a text of ENGINES."""
    columns = [*(fields[path].tolist() for path in FIELDS), *(map(_shown, resources[name].tolist()) for name in RESOURCES)]
    return csv_text([(*FIELDS, *RESOURCES), *zip(*columns, strict=True)])


def _shown(value: float) -> str:
    """Return a count; of memories there are halves, and lanes may share what is beside them."""
    return f"{value:.12g}"
