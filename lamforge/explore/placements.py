"""Placements as the points of a study: estimates of systems over arrays of questions, and what each misses of which memory."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.devices import Card, Csd, Drive, Gpu
from lamforge.explore.axes import PLACES, Value
from lamforge.explore.conditions import Columns
from lamforge.explore.metrics import PLACEMENT_METRICS
from lamforge.explore.placement_axes import FORMAT, SETTINGS, SYSTEM, WINDOW, settings_of
from lamforge.explore.rows import Block, Rows
from lamforge.explore.space import Space, json_text
from lamforge.explore.store import ESTIMATE
from lamforge.explore.study import Study
from lamforge.flow.offload.contender import DENSE, Contender, contender
from lamforge.flow.offload.work_format import work_format
from models.zoo import network

__all__ = ["KINDS", "PlacementRows", "PlacementSpace", "kind_of", "rows_of", "space_of"]

KINDS = ("GPU", "GPU and host", "GPU and SSD", "GPU and CSD", "FPGA")
"""What holds and computes a model: the GPU alone, with the host's memory, with drives, with drives that compute, or a card."""
_SYSTEM, _MEMORY, _SEQUENCES = "system", "memory", "sequences"
"""Constraints of every study: the system takes the question, every memory suffices, and the system is made for the batch."""
_KIND, _BINDING, _SHORT = "kind", "binding", "short_of"


def space_of(study: Study) -> Space:
    """Return the grid of a study of either kind; raise SpecError for one of too many points."""
    return PlacementSpace(study) if study.is_placement else Space(study)


def rows_of(space: Space, code: str) -> Rows:
    """Return what makes and reads the rows of a study of either kind."""
    return PlacementRows(space, code) if isinstance(space, PlacementSpace) else Rows(space, code)


def kind_of(answer: Answer) -> str:
    """Return which of KINDS a system is, by its devices and by the memories that a workload uses."""
    has = {kind: any(isinstance(part.device, kind) for part in answer.parts) for kind in (Card, Csd, Drive, Gpu)}
    if has[Card] and not has[Gpu]:
        return "FPGA"
    if has[Csd] or has[Drive]:
        return "GPU and CSD" if has[Csd] else "GPU and SSD"
    in_host = any("host" in tier.name and np.any(tier.used.value > 0) for tier in answer.tiers)
    return "GPU and host" if in_host else "GPU"


class PlacementSpace(Space):
    """The grid of a study of placements."""

    def __init__(self, study: Study):
        """Raise SpecError for a grid of too many points, or where a system does not have a setting of the study."""
        super().__init__(study)
        # Each space reads its files itself: they may have changed since another was made.
        self._contender: Callable[[str, str], Contender] = functools.cache(lambda text, said: contender(text, settings_of(said)))
        self._asked: Callable[[str], Network] = functools.cache(network)
        for text in self._given(SYSTEM):
            for said in self._given(SETTINGS):
                self._contender(text, said)

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the study and of what the files are that it names."""
        systems = [repr(self._contender(text, said).system) for text in self._given(SYSTEM) for said in self._given(SETTINGS)]
        networks = [dataclasses.asdict(self._asked(name)) for name in self._given("network")]
        return hashlib.sha256(json_text([self.study.digest, networks, systems]).encode()).hexdigest()

    def columns(self, points: np.ndarray) -> Columns:
        """Return every path's values as arrays [points], or [] where they do not vary; a system's text may have some."""
        found = {path: self._made(points, path, lambda value: value) for path in self.study.paths if path not in (FORMAT, WINDOW)}
        for path, said in ((FORMAT, _format), (WINDOW, _window)):
            is_given = self._is_given(path)
            found[path] = self._made(points, *((path, lambda value: value) if is_given else (SYSTEM, said)))
        return found

    def questions(self, points: np.ndarray, columns: Columns) -> Iterator[tuple[Contender, Workload, np.ndarray]]:
        """Yield a contender, what it is asked at some of the points as arrays, and the places of these, for all points.

        columns: those of the points.
        """
        names = (SYSTEM, SETTINGS, "network")
        known = [np.unique(np.broadcast_to(columns[name], points.shape), return_inverse=True) for name in names]
        code = np.zeros(points.shape, dtype=np.int64)
        for values, inverse in known:
            code = code * len(values) + inverse.reshape(points.shape)
        order = np.argsort(code, kind="stable")
        styles, style = np.unique(columns[FORMAT], return_inverse=True)
        formats = [work_format(name) for name in styles.tolist()]
        weight, activation, cache = (
            np.array([getattr(each, bits) for each in formats])[style].reshape(np.shape(columns[FORMAT]))
            for bits in ("weight", "activation", "cache")
        )
        window = self._windows(columns[WINDOW])
        for places in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            text, said, model = (str(values[inverse[places[0]]]) for values, inverse in known)

            def some(values: np.ndarray, places: np.ndarray = places) -> np.ndarray:
                return np.broadcast_to(values, points.shape)[places].astype(np.float64)

            asked = Workload(
                network=self._asked(model),
                prompt=some(columns["prompt"]),
                generated=some(columns["generate"]),
                batch=some(columns["batch"]),
                weight_bits=some(weight),
                activation_bytes=some(activation) / 8,
                cache_bits=some(cache),
                window=some(window),
            )
            yield self._contender(text, said), asked, places

    def _plain(self, point: int) -> dict[str, Value]:
        """Return every path's value of one point, as `columns` does of many."""
        return {path: np.atleast_1d(values)[0].item() for path, values in self.columns(np.array([point])).items()}

    def _given(self, path: str) -> list[str]:
        return [str(value) for value in self.axes.get(path, (self.study.base.get(path, PLACES[path].default),))]

    @staticmethod
    def _windows(texts: np.ndarray) -> np.ndarray:
        known, inverse = np.unique(texts, return_inverse=True)
        tokens = np.array([math.inf if text == DENSE else float(text) for text in known.tolist()])
        found: np.ndarray = tokens[inverse].reshape(np.shape(texts))
        return found

    def _configured(self, path: str, value: Value) -> object:
        """Return a value as a configuration has it: of a network its sizes, of a system everything that it is."""
        if path == "network":
            return dataclasses.asdict(self._asked(str(value)))
        return repr(self._contender(str(value), "").system) if path == SYSTEM else value


class PlacementRows(Rows):
    """Makes and reads the rows of a study of placements."""

    first: ClassVar[str] = ESTIMATE
    always: ClassVar[tuple[str, ...]] = (_SYSTEM, _MEMORY, _SEQUENCES)
    causes: ClassVar[tuple[str, ...]] = ()
    notes: ClassVar[tuple[str, ...]] = (_KIND, _BINDING, _SHORT)

    def closed(self, points: np.ndarray) -> Block:
        """Return points by the estimate, which is all there is of them.

        Where a batch is more than a system is made for, or it refuses the question, there are no figures. Notes are the kind of the
        placement, what most of a step is spent on, and the memory that most is missing of, relative to what there is.
        """
        began, count = time.perf_counter(), len(points)
        space = self._space
        assert isinstance(space, PlacementSpace)
        columns = space.columns(points)
        metrics = {name: np.full(count, np.nan) for name in PLACEMENT_METRICS}
        notes = {name: np.full(count, "", dtype=object) for name in self.notes}
        refusals = np.full(count, "", dtype=object)
        shares = {name: np.zeros(count) for name in self.always}
        for asked, work, places in space.questions(points, columns) if count else ():
            over = np.asarray(work.batch) / asked.system.most_sequences - 1
            shares[_SEQUENCES][places] = np.maximum(over, 0.0)
            possible = dataclasses.replace(work, batch=np.minimum(work.batch, asked.system.most_sequences))
            try:
                answer = asked.system.answer(possible)
            except SpecError as refusal:
                shares[_SYSTEM][places], refusals[places] = np.inf, str(refusal)
                continue
            for name, values in _figures(asked, answer).items():
                metrics[name][places] = np.where(over > 0, np.nan, np.broadcast_to(values, places.shape))
            short, missing = _missing(answer, places.shape)
            shares[_MEMORY][places], notes[_SHORT][places] = missing, short
            notes[_KIND][places], notes[_BINDING][places] = kind_of(answer), _bindings(answer, places.shape)
        return Block(
            points=points,
            metrics=metrics,
            excess=np.stack([*shares.values(), *self._excess(points, columns, metrics)], axis=1),
            refusals=refusals,
            causes={},
            wall_s=np.full(count, (time.perf_counter() - began) / max(1, count)),
            notes=notes,
        )


def _format(text: Value) -> str:
    return contender(str(text)).format


def _window(text: Value) -> str:
    window = contender(str(text)).window
    return f"{window:.0f}" if math.isfinite(window) else DENSE


def _figures(asked: Contender, answer: Answer) -> dict[str, np.ndarray]:
    """Return every metric of an answer, as arrays that broadcast; NaN where a device has no price."""
    price, cost = answer.price, answer.dollars_per_million_tokens
    return {
        "token_per_s": np.asarray(answer.tokens_per_second),
        "decode_token_per_s": np.asarray(answer.decode_tokens_per_second),
        "first_token_s": np.asarray(answer.prefill.time.value),
        "step_s": np.asarray(answer.step.time.value),
        "token_per_joule": 1 / np.asarray(answer.joules_per_token),
        "price_usd": np.asarray(np.nan if price is None else price.value),
        "usd_per_million_tokens": np.asarray(np.nan if cost is None else cost),
        "assumed_share": np.asarray(asked.assumed_share(answer)),
    }


def _missing(answer: Answer, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the memory that most is missing of, empty where all hold, and how much is missing as a share of that memory."""
    shares = np.stack([np.broadcast_to(tier.over.value / tier.capacity.value, shape) for tier in answer.tiers])
    names = np.array([tier.name for tier in answer.tiers], dtype=object)
    missing = shares.max(axis=0)
    return np.where(missing > 0, names[shares.argmax(axis=0)], ""), missing


def _bindings(answer: Answer, shape: tuple[int, ...]) -> np.ndarray:
    """Return the cause that most of a step is charged to."""
    charged = np.stack([np.broadcast_to(time.value, shape) for time in answer.step.charged.values()])
    found: np.ndarray = np.array(list(answer.step.charged), dtype=object)[charged.argmax(axis=0)]
    return found
