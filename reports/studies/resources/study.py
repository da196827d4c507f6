"""The model of resources made anew: what each part depends on, runs of Yosys of parts and engines, and how far off the model is."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.arch.board import RESOURCES
from hwsim.arch.config import EngineConfig, engine_names, load_engine
from hwsim.errors import SpecError, shown
from hwsim.whole_files import whole_folder
from lamforge.flow.resources import (
    COPIES,
    ENGINES,
    FIELDS,
    ORIGIN,
    PARTS,
    Origin,
    PartRun,
    ResourceModel,
    copies_of,
    engines_text,
    parts_text,
    with_keys,
)
from lamforge.flow.verb import SILENT, Listener
from reports.studies.resources.circuits import Make, circuits
from reports.studies.resources.engines import differing_in_one_field, drawn, memory_shapes, settings_of, slices
from rtl.synthesis.circuit import Circuit, Wanted, circuit
from rtl.synthesis.yosys import tool_version

__all__ = ["FORMS_OF", "Off", "ResourceStudy", "ResourcesRequest", "changed_parts", "run"]

FORMS_OF = ("tiny", "small")
"""Engines whose parts are kept by form, which tells whether the circuit is still that of the runs."""
_VARIED_DRAWN = 2
"""Drawn engines that are varied in each field too: what one small engine hides, a large one may show."""
_SHARE_APART = 2
"""One in so many drawn engines is kept apart."""
_MOST_WORKERS = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResourcesRequest:
    """The runs to make.

    Attributes:
        output: folder that gets parts.csv, engines.csv and origin.json.
        engines: how many engines are drawn, of which half is kept apart to say how far off the model is.
        seed: of the draw.
        workers: processes of this machine.
        shipped: names of the engines that are synthesized beside them.
        is_whole: whether every slice and memory there can be is synthesized, not those of the engines alone.
        cache: folder that keeps what was synthesized; what lies there is not synthesized again.
    """

    output: Path = Path("build/resources")
    engines: int = 84
    seed: int = 0
    workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    shipped: tuple[str, ...] = dataclasses.field(default_factory=lambda: tuple(engine_names()))
    is_whole: bool = True
    cache: Path = Path("build/synthesis")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Off:
    """How far the model is off one resource of engines that it has not seen: shares, and how many engines it has exactly."""

    median: float
    worst: float
    exact: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResourceStudy:
    """What was made.

    Attributes:
        output: folder of the files.
        origin: what they are made of.
        engines, apart: engines that the model is fitted to, and engines that it has not seen.
        runs: rows of parts.csv, by part.
        dependent: fields that each part depends on.
        contradicted: parts of which engines with the same fields have different Verilog, so that the largest run was taken.
        off: how far the model is off, by name of RESOURCES.
    """

    output: Path
    origin: Origin
    engines: int
    apart: int
    runs: Mapping[str, int]
    dependent: Mapping[str, tuple[str, ...]]
    contradicted: tuple[str, ...]
    off: Mapping[str, Off]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    """A circuit and the values of FIELDS of its engine."""

    settings: Mapping[str, int]
    parts: Circuit

    @property
    def resources(self) -> tuple[float, ...]:
        """What all parts take, in the order of RESOURCES."""
        rows = [part.resources for part in self.parts.values() if part.resources is not None]
        return tuple(sum(each) for each in zip(*rows, strict=True))


def run(request: ResourcesRequest, listener: Listener = SILENT, make: Make = circuit) -> ResourceStudy:
    """Find what each part of the circuit depends on, synthesize parts and engines, fit the model and say how far it is off.

    A whole run takes hours. One that was stopped, in whatever way, goes on where it was when it is called again.

    Raises:
        SpecError: a number is out of range, the folder cannot be written, or a part occurs as often as no number of COPIES says.
        MachineError: Yosys is missing or refuses.
    """
    _check(request)

    def found(engines: Iterable[EngineConfig], wanted: Wanted) -> list[_Found]:
        chosen = list(engines)
        made = circuits(chosen, wanted, folder=request.cache, workers=request.workers, listener=listener, make=make)
        return [_Found(settings=settings_of(engine), parts=parts) for engine, parts in zip(chosen, made, strict=True)]

    engines = drawn(request.engines, request.seed)
    bases = [*map(load_engine, FORMS_OF), *engines[:_VARIED_DRAWN]]
    varied = [found(differing_in_one_field(base), Wanted.FORMS) for base in bases]
    dependent = _dependent(varied)
    every = [each for group in varied for each in group]
    # Refused now rather than after hours.
    _copies(every)
    shapes = found(memory_shapes(), Wanted.MEMORIES) if request.is_whole else []
    alone = found(slices(), Wanted.SLICE) if request.is_whole else []
    shipped = found(map(load_engine, request.shipped), Wanted.WHOLE)
    whole = found(engines, Wanted.WHOLE)
    apart, seen = _parted(whole, request.seed)
    copies = _copies([*every, *shapes, *shipped, *whole])
    runs = _part_runs([*shipped, *seen, *shapes, *alone], dependent, copies)
    fields = {path: np.array([each.settings[path] for each in apart]) for path in FIELDS}
    synthesized = dict(zip(RESOURCES, np.array([each.resources for each in apart]).T, strict=True))
    off = _off(ResourceModel(runs).total(fields), synthesized)
    origin = Origin(
        tool=f"Yosys {tool_version()}",
        amaranth=importlib.metadata.version("amaranth"),
        date=datetime.date.today().isoformat(),
        seed=request.seed,
        forms={name: _forms(group[0].parts) for name, group in zip(FORMS_OF, varied, strict=False)},
    )
    with whole_folder(request.output, keeps_others=True) as folder:
        (folder / PARTS).write_text(parts_text(runs))
        (folder / ENGINES).write_text(engines_text(fields, synthesized))
        (folder / ORIGIN).write_text(json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
    return ResourceStudy(
        output=request.output,
        origin=origin,
        engines=len(shipped) + len(seen),
        apart=len(apart),
        runs={part: sum(each.part == part for each in runs) for part in dependent},
        dependent=dependent,
        contradicted=tuple(part for part in dependent if _is_contradicted([*every, *shapes, *shipped, *whole], part, dependent)),
        off=off,
    )


def changed_parts(origin: Origin, cache: Path, make: Make = circuit) -> Mapping[str, tuple[str, ...]]:
    """Return the parts whose Verilog is another than when the runs were made, by engine."""
    now = {name: _forms(make(load_engine(name), Wanted.FORMS, cache)) for name in origin.forms}
    return {
        name: tuple(sorted(part for part in {*forms, *now[name]} if forms.get(part) != now[name].get(part)))
        for name, forms in origin.forms.items()
    }


def _check(request: ResourcesRequest) -> None:
    if request.engines < _SHARE_APART:
        raise SpecError(f"Engines must be at least {_SHARE_APART}, of which one is kept apart, not {shown(request.engines)}")
    if request.seed < 0:
        raise SpecError(f"Seed must be at least 0, not {shown(request.seed)}")
    if not 1 <= request.workers <= _MOST_WORKERS:
        raise SpecError(f"Workers must be 1 to {_MOST_WORKERS}, not {shown(request.workers)}")
    for path in (request.output, *request.output.parents):
        if path.exists():
            if not path.is_dir() or not os.access(path, os.W_OK):
                raise SpecError(f"Output must be a folder that can be written, not {shown(str(request.output))}")
            break


def _forms(parts: Circuit) -> dict[str, str]:
    return {name: part.form for name, part in sorted(parts.items())}


def _dependent(varied: Sequence[Sequence[_Found]]) -> dict[str, tuple[str, ...]]:
    """Return the fields of each part; each group has an engine and those that differ from it in one field."""
    found: dict[str, set[str]] = {}
    for base, *others in varied:
        for other in (base, *others):
            paths = [path for path in FIELDS if base.settings[path] != other.settings[path]]
            for part in {*base.parts, *other.parts}:
                found.setdefault(part, set())
                forms = [each.parts[part].form if part in each.parts else None for each in (base, other)]
                if forms[0] != forms[1]:
                    found[part].update(paths)
    return {part: with_keys(part, fields) for part, fields in sorted(found.items())}


def _copies(found: Sequence[_Found]) -> dict[str, str]:
    """Return the number of copies, of COPIES, that every part has in every engine."""
    fields = {path: np.array([each.settings[path] for each in found]) for path in FIELDS}
    numbers = {name: np.broadcast_to(copies_of(name, fields), len(found)) for name in COPIES}
    names: dict[str, str] = {}
    for part in sorted({part for each in found for part in each.parts}):
        counted = np.array([each.parts[part].copies if part in each.parts else 0 for each in found])
        fitting = [name for name, number in numbers.items() if (number == counted).all()]
        if not fitting:
            place = int(np.argmax(counted))
            raise SpecError(
                f"Copies of {part} must be of {', '.join(COPIES)}, not {counted[place]} with"
                f" {', '.join(f'{path} {value}' for path, value in found[place].settings.items())}"
            )
        names[part] = fitting[0]
    return names


def _parted(whole: Sequence[_Found], seed: int) -> tuple[list[_Found], list[_Found]]:
    """Return the engines that are kept apart, and the others."""
    chosen = set(np.random.default_rng(seed).permutation(len(whole))[: len(whole) // _SHARE_APART].tolist())
    return [whole[place] for place in sorted(chosen)], [each for place, each in enumerate(whole) if place not in chosen]


def _part_runs(found: Sequence[_Found], dependent: Mapping[str, tuple[str, ...]], copies: Mapping[str, str]) -> list[PartRun]:
    """Return a run for each part and values of its fields; of several, the largest."""
    runs: dict[tuple[str, tuple[int, ...]], tuple[float, ...]] = {}
    for each in found:
        for name, part in each.parts.items():
            if part.resources is not None:
                key = name, tuple(each.settings[path] for path in dependent[name])
                one = tuple(value / part.copies for value in part.resources)
                runs[key] = max(runs.get(key, one), one)
    return [
        PartRun(part, copies[part], dict(zip(dependent[part], values, strict=True)), resources)
        for (part, values), resources in sorted(runs.items())
    ]


def _is_contradicted(found: Sequence[_Found], part: str, dependent: Mapping[str, tuple[str, ...]]) -> bool:
    forms: dict[tuple[int, ...], str] = {}
    return any(
        forms.setdefault(tuple(each.settings[path] for path in dependent[part]), each.parts[part].form) != each.parts[part].form
        for each in found
        if part in each.parts
    )


def _off(model: Mapping[str, np.ndarray], synthesized: Mapping[str, np.ndarray]) -> dict[str, Off]:
    found = {}
    for name, true in synthesized.items():
        apart = np.abs(model[name] - true)
        # What an engine has none of is off by the whole of what the model says.
        share = apart / np.where(true > 0, true, np.maximum(model[name], 1))
        found[name] = Off(median=float(np.median(share)), worst=float(share.max()), exact=int((apart < 1e-6).sum()))
    return found
