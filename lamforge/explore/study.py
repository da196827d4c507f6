"""The file of a study: what is varied, what must hold, what is best, how it is searched, and what is simulated exactly."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from hwsim.errors import LamforgeError, SpecError, shown
from hwsim.nearest import nearest
from hwsim.reader import NAME, Limits, OneOf, SpecFiles, read, spelled
from lamforge.explore.accuracy import MEASURED, load_accuracies
from lamforge.explore.axes import ALIASES, ENGINE_PATHS, MOST_ROWS, PLACEMENT_PATHS, PLACES, Place, Value, place_of
from lamforge.explore.conditions import Condition
from lamforge.explore.metrics import METRICS, PLACEMENT_METRICS, PROMPT, Metric
from lamforge.explore.placement_axes import FORMAT, SYSTEM, WINDOW
from models.zoo import shape

__all__ = ["BOARD", "FILES", "Bound", "Objective", "Search", "Study", "is_exact_only", "load_study", "study_of"]

FILES = SpecFiles("Study", "studies", SpecError, package="lamforge.explore")
"""The studies that ship."""
BOARD = "board"
"""Name of the constraint that the engine fits the board."""
_MOST_VALUES = 100_000
_RANGE = ("from", "to", "step", "times", "count")
_GOALS = ("maximize", "minimize")
_SAMPLERS = ("tpe", "nsga2")
_SLACK = 1e-9
_MOST_GROWTH = math.log(1e300)
"""Logarithm of the last value of a range by its first one: powers of its factor must be numbers."""
_QUESTIONS = ("network", "prompt", "generate")
"""Axes that say what is asked of placements, and not which they are."""
_METRICS = {**PLACEMENT_METRICS, **METRICS}
"""Metrics of both kinds of studies; of one name they mean alike."""
Part = TypeVar("Part")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bound:
    """What a metric, or a number of the design, must be.

    Attributes:
        name: of the metric, or path of a design.
        at_least, at_most: bounds, both included; None where there is none.
    """

    name: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        sides = (("at least", self.at_least), ("at most", self.at_most))
        return f"{self.name} {' and '.join(f'{side} {bound:g}' for side, bound in sides if bound is not None)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric, or a number of the design, and which way is better."""

    name: str
    is_maximized: bool

    def __str__(self) -> str:
        return f"{_GOALS[0] if self.is_maximized else _GOALS[1]} {self.name}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Which points are looked at."""

    method: Annotated[str, OneOf(("grid", "random", "optuna"))] = "grid"
    """`grid` takes every point, `random` draws some, `optuna` samples where better ones are likely."""
    count: Annotated[int, Limits(1, 10_000_000)] | None = None
    """Points that `random` draws; 1000 unless said otherwise."""
    sampler: Annotated[str, OneOf(_SAMPLERS)] | None = None
    """Sampler of `optuna`: `nsga2` unless said otherwise, or `tpe`."""
    trials: Annotated[int, Limits(1, 1_000_000)] | None = None
    """Points that `optuna` tries; 200 unless said otherwise."""
    seed: Annotated[int, Limits(0, (1 << 32) - 1)] = 0
    """Seed of `random` and `optuna`."""

    def __post_init__(self) -> None:
        owners = {"count": "random", "sampler": "optuna", "trials": "optuna"}
        wrong = [name for name, owner in owners.items() if getattr(self, name) is not None and owner != self.method]
        if wrong:
            raise SpecError(f"Study search must leave out {' and '.join(wrong)} where its method is {self.method}")

    @classmethod
    def of(cls, document: object) -> object:
        """Return what a file says, where the name of a method alone may stand for a mapping."""
        return {"method": document} if isinstance(document, str) else document


@dataclasses.dataclass(frozen=True)
class _Read:
    """Mark of a mapping that a function reads part by part, so that every mistake is told.

    read: yields for each entry its name and a function that reads it.
    shape: returns the schema of what a file may hold, for editors, given what makes the schema of a type.
    """

    read: Callable[[str, object], tuple[str, object]]
    shape: Callable[[Callable[[Any], Any]], Any]
    says: str
    section: str
    kind: type = dict

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[Any], Any]) -> Any:
        def check(document: Any, subject: str) -> object:
            if not isinstance(document, self.kind) or not (document or self.section in _MAY_BE_EMPTY):
                raise SpecError(f" must be {self.says}, not {shown(document)}")
            pairs = document.items() if isinstance(document, dict) else enumerate(typing.cast(list[object], document))
            found: dict[str, object] = {}
            mistakes: list[str] = []
            for name, value in pairs:
                try:
                    key, made = self.read(str(name), value)
                    if key in found:
                        raise SpecError(f"Study {self.section} must name {key!r} once, not twice")
                    found[key] = made
                except LamforgeError as mistake:
                    mistakes.append(str(mistake))
            if mistakes:
                raise SpecError("; ".join(mistakes))
            return found if self.section in ("base", "axes") else tuple(found.values())

        return spelled(check, self.shape(handler), self.says)


_MAY_BE_EMPTY = ("base", "conditions", "constraints", "for_each")


def _base(path: str, value: object) -> tuple[str, Value]:
    place = place_of(path, "Study base name")
    return place.path, place.read(value, f"Study base.{path}")


def _axis(path: str, document: object) -> tuple[str, tuple[Value, ...]]:
    place, subject = place_of(path, "Study axis"), f"Study axes.{path}"
    if isinstance(document, dict):
        values = list(_range(place, document, subject))
    elif isinstance(document, list):
        values = document
    else:
        raise SpecError(f"{subject} must be a list of values or a range, not {shown(document)}")
    if not values:
        raise SpecError(f"{subject} must have at least one value, not none")
    if len(values) > _MOST_VALUES:
        raise SpecError(f"{subject} must have at most {_MOST_VALUES:,} values, not {len(values):,}")
    mistakes: list[str] = []
    found: list[Value] = []
    for index, value in enumerate(values):
        try:
            found.append(place.read(value, f"{subject}[{index}]"))
        except SpecError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        more = f"; and {len(mistakes) - 3} more values of it" if len(mistakes) > 3 else ""
        raise SpecError("; ".join(mistakes[:3]) + more)
    twice = next((value for index, value in enumerate(found) if value in found[:index]), None) if len(found) < 1000 else None
    if twice is not None:
        raise SpecError(f"{subject} must have every value once, not {shown(twice)} twice")
    return place.path, tuple(found)


def _range(place: Place, document: dict[object, object], subject: str) -> Iterator[float]:
    """Yield the values of a range; whole numbers stay whole."""
    by = [name for name in ("step", "times", "count") if name in document]
    wrong = [str(name) for name in document if name not in _RANGE]
    if place.is_text or wrong or len(by) != 1 or len(document) != 3:
        kind = "a list of values" if place.is_text else "a list of values, or a range of from, to and one of step, times and count"
        raise SpecError(f"{subject} must be {kind}, not {shown(document)}")
    numbers: dict[str, int | float] = {}
    for name, value in document.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SpecError(f"{subject}.{name} must be a finite number, not {shown(value)}")
        numbers[str(name)] = value
    first, last, by_value = numbers["from"], numbers["to"], numbers[by[0]]
    if last < first:
        raise SpecError(f"{subject} must go from its smaller to its larger value, not from {first:g} to {last:g}")
    if by == ["count"]:
        if not isinstance(by_value, int) or by_value < 1 or (by_value == 1 and first != last):
            raise SpecError(f"{subject}.count must be a whole number of at least 2, not {shown(by_value)}")
        steps: float = by_value - 1
    elif (by == ["step"] and by_value <= 0) or (by == ["times"] and (by_value <= 1 or first <= 0)):
        least = "step above 0" if by == ["step"] else "factor `times` above 1, from a value above 0"
        raise SpecError(f"{subject} must have a {least}, not {by_value:g} from {first:g}: it would not end")
    elif by == ["times"] and math.log(last) - math.log(first) > _MOST_GROWTH:
        raise SpecError(f"{subject} must go to at most 1e300 times its first value, not from {first:g} to {last:g}")
    elif by == ["step"]:
        steps = (last - first) / by_value * (1 + _SLACK)
    else:
        steps = (math.log(last) - math.log(first)) / math.log(by_value) * (1 + _SLACK)
    if not steps < _MOST_VALUES:
        values = f"{math.floor(steps) + 1:,}" if math.isfinite(steps) else "more than can be counted"
        raise SpecError(f"{subject} must have at most {_MOST_VALUES:,} values, not {values}")
    count = math.floor(steps) + 1
    for index in range(count):
        if by == ["count"]:
            value = first + (last - first) * index / max(1, count - 1)
        else:
            value = first + index * by_value if by == ["step"] else first * by_value**index
        yield round(value) if place.is_whole and abs(value - round(value)) < _SLACK * abs(value) else value


def _condition(number: str, text: object) -> tuple[str, Condition]:
    if not isinstance(text, str):
        raise SpecError(f"Study conditions[{number}] must be a text such as 'batch <= engine.tile.tokens', not {shown(text)}")
    try:
        return text, Condition(text)
    except SpecError as mistake:
        raise SpecError(f"Study conditions[{number}]: {mistake}") from None


def _figure(name: str, subject: str) -> str:
    """Return the name of a metric, or the path of a design whose values are numbers; of which kind of study is not known yet."""
    if name in _METRICS:
        return name
    path = ALIASES.get(name, name)
    if path in PLACES and not PLACES[path].is_text:
        return path
    near = nearest(name, _METRICS)
    raise SpecError(f"{subject} must be {near}, or a path of a design whose values are numbers, not {shown(name)}")


def _constraint(name: str, document: object) -> tuple[str, Bound]:
    if name == "fits":
        if document != BOARD:
            raise SpecError(f"Study constraints.fits must be {BOARD}, not {shown(document)}")
        return BOARD, Bound(name=BOARD)
    found = _figure(name, "Study constraint")
    sides = ("at_least", "at_most")
    if not isinstance(document, dict) or not document or not all(side in sides for side in document):
        raise SpecError(f"Study constraints.{name} must be a mapping of at_least, at_most or both, not {shown(document)}")
    for side, bound in document.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            raise SpecError(f"Study constraints.{name}.{side} must be a finite number, not {shown(bound)}")
    if document.get("at_least", -math.inf) > document.get("at_most", math.inf):
        raise SpecError(f"Study constraints.{name} must have at_least below at_most, not {shown(document)}")
    return found, Bound(name=found, at_least=document.get("at_least"), at_most=document.get("at_most"))


def _objective(name: str, goal: object) -> tuple[str, Objective]:
    if goal not in _GOALS:
        raise SpecError(f"Study objectives.{name} must be {' or '.join(_GOALS)}, not {shown(goal)}")
    found = _figure(name, "Study objective")
    return found, Objective(name=found, is_maximized=goal == _GOALS[0])


def _mapping(values: Mapping[str, Any], told: Mapping[str, str]) -> Any:
    from pydantic_core import core_schema

    fields = {
        name: core_schema.typed_dict_field(
            schema, required=False, metadata={"pydantic_js_updates": {"description": told[name]}} if told.get(name) else None
        )
        for name, schema in values.items()
    }
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid")


def _told_of(name: str) -> str:
    """Return what a metric is, in studies of either kind."""
    told = [metrics[name].told for metrics in (METRICS, PLACEMENT_METRICS) if name in metrics]
    return told[0] if len(told) == 1 else f"{told[0]}; of placements, {told[1]}"


_TOLD = {path: place.told for path, place in PLACES.items()} | {name: PLACES[path].told for name, path in ALIASES.items()}
_FIGURES = {name: _told_of(name) for name in _METRICS} | {path: place.told for path, place in PLACES.items() if not place.is_text}


def _kinds(handler: Callable[[Any], Any]) -> Mapping[str, Any]:
    found = {path: handler(place.kind) for path, place in PLACES.items()}
    return found | {name: found[path] for name, path in ALIASES.items()}


def _base_shape(handler: Callable[[Any], Any]) -> Any:
    return _mapping(_kinds(handler), _TOLD)


def _axes_shape(handler: Callable[[Any], Any]) -> Any:
    from pydantic_core import core_schema

    number = core_schema.union_schema([core_schema.int_schema(), core_schema.float_schema()])
    span = core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(number, required=name in ("from", "to")) for name in _RANGE}, extra_behavior="forbid"
    )
    lists = {path: core_schema.list_schema(kind, min_length=1) for path, kind in _kinds(handler).items()}
    is_text = {path: PLACES[ALIASES.get(path, path)].is_text for path in lists}
    either = {path: each if is_text[path] else core_schema.union_schema([each, span]) for path, each in lists.items()}
    return _mapping(either, _TOLD)


def _conditions_shape(handler: Callable[[Any], Any]) -> Any:
    from pydantic_core import core_schema

    return core_schema.list_schema(core_schema.str_schema())


def _constraints_shape(handler: Callable[[Any], Any]) -> Any:
    from pydantic_core import core_schema

    bound = core_schema.typed_dict_field(core_schema.float_schema(), required=False)
    bounds = core_schema.typed_dict_schema({"at_least": bound, "at_most": bound}, extra_behavior="forbid")
    fits = {"fits": core_schema.literal_schema([BOARD])}
    return _mapping(dict.fromkeys(_FIGURES, bounds) | fits, _FIGURES | {"fits": "that the engine fits the board of the point"})


def _objectives_shape(handler: Callable[[Any], Any]) -> Any:
    from pydantic_core import core_schema

    return _mapping(dict.fromkeys(_FIGURES, core_schema.literal_schema(list(_GOALS))), _FIGURES)


def _each(number: str, document: object) -> tuple[str, str]:
    if not isinstance(document, str):
        raise SpecError(f"Study for_each[{number}] must be the path of an axis such as 'network', not {shown(document)}")
    path = place_of(document, f"Study for_each[{number}]").path
    return path, path


class _Exact:
    """Mark of what is simulated exactly."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        says = "front, all or a whole number of at least 1"

        def check(value: Any, subject: str) -> object:
            if value not in ("front", "all") and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise SpecError(f" must be {says}, not {shown(value)}")
            return value

        either = core_schema.union_schema([core_schema.int_schema(ge=1), core_schema.literal_schema(["front", "all"])])
        return spelled(check, either, says)


class _Search:
    """Mark of a search: the name of a method, or a mapping with one."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = handler(source)
        either = core_schema.union_schema([core_schema.literal_schema(["grid", "random", "optuna"]), schema])
        return core_schema.no_info_before_validator_function(Search.of, schema, json_schema_input_schema=either)


class _Table:
    """Mark of a table of accuracies: its name, or a file."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        says = "the name of a table of accuracies or a YAML file"

        def check(value: Any, subject: str) -> str:
            if not isinstance(value, str) or not value:
                raise SpecError(f" must be {says}, not {shown(value)}")
            load_accuracies(value)
            return value

        return spelled(check, core_schema.str_schema(), says)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its file has it."""

    name: Annotated[str, NAME] = "study"
    """Name of the study; that of its file where it is left out."""
    base: Annotated[dict[str, Value], _Read(_base, _base_shape, "a mapping of values by path", "base")] = dataclasses.field(
        default_factory=dict
    )
    """What does not vary, by path; the rest is at its defaults."""
    axes: Annotated[dict[str, tuple[Value, ...]], _Read(_axis, _axes_shape, "a mapping of lists or ranges by path", "axes")]
    """What varies, by path: a list of values, or a range `{from: 8, to: 64, times: 2}` (or `step`, or `count`)."""
    conditions: Annotated[
        tuple[Condition, ...], _Read(_condition, _conditions_shape, "a list of conditions", "conditions", list)
    ] = ()
    """What must hold between the values of a point, such as `engine.fetch.fifo_beats >= 2 * engine.fetch.burst_beats`."""
    constraints: Annotated[
        tuple[Bound, ...], _Read(_constraint, _constraints_shape, "a mapping of bounds by metric", "constraints")
    ] = ()
    """What a point must reach, by metric or path: `{at_least: 100}`, `{at_most: 5}`; and `fits: board`."""
    objectives: Annotated[
        tuple[Objective, ...], _Read(_objective, _objectives_shape, "a mapping of maximize or minimize by metric", "objectives")
    ] = (Objective(name="token_per_s", is_maximized=True),)
    """What is best, by metric or path: `maximize` or `minimize`."""
    for_each: Annotated[tuple[str, ...], _Read(_each, _conditions_shape, "a list of paths of axes", "for_each", list)] = ()
    """Axes for each value of which the best are asked for, such as `[network, prompt]`: every combination has its own front.
    In a study of placements those of network, prompt and generate that vary, unless it says otherwise."""
    accuracy: Annotated[str, _Table] | None = None
    """Table that `perplexity` and `pass_keys` are taken from: one that ships, or a YAML file."""
    search: Annotated[Search, _Search] = Search()
    """Which points are looked at: `grid`, `random`, `optuna`, or a mapping of `method` and its options."""
    exact: Annotated[int | Literal["front", "all"], _Exact] = "front"
    """Points simulated exactly, of those that meet everything: the `front` by the closed form, a count of the best, or `all`."""

    def __post_init__(self) -> None:
        self._check_kind()
        both = [path for path in self.axes if path in self.base]
        if both:
            raise SpecError(f"Study base and axes must not both have {' and '.join(map(repr, both))}")
        if {"context", "attention.window"} <= {*self.base, *self.axes}:
            raise SpecError("Study must have either context or attention.window, which follow from one another, not both")
        if "network" not in {*self.base, *self.axes}:
            raise SpecError("Study base must have network, the name of the network that is decoded")
        if self.asks_accuracy and self.accuracy is None:
            raise SpecError(
                f"Study accuracy must be given, the table that {' and '.join(sorted(MEASURED))} are taken from, not left out"
            )
        unvaried = next((path for path in self.for_each if path not in self.axes), None)
        if unvaried is not None:
            raise SpecError(f"Study for_each must name axes of the study, such as {nearest(unvaried, self.axes)}, not {unvaried!r}")
        if self.for_each and self.search.method == "optuna":
            raise SpecError("Study for_each must be left out where Optuna searches, which looks for one front")
        if self.is_placement:
            self._check_placement()
            return
        known = [each for each in self.objectives if not is_exact_only(each.name)]
        if not known and self.exact != "all":
            names = " and ".join(each.name for each in self.objectives)
            raise SpecError(f"Study exact must be all where only the exact simulation gives the objectives ({names})")
        unknown = [each.name for each in self.constraints if is_exact_only(each.name)]
        if unknown and self.exact != "all":
            # What is best by the closed form may break them all where others do not.
            names = " and ".join(unknown)
            raise SpecError(f"Study exact must be all where only the exact simulation tells what meets a constraint ({names})")

    @property
    def is_placement(self) -> bool:
        """Whether its points are placements, which are estimated, and not designs of an engine."""
        return SYSTEM in self.axes or SYSTEM in self.base

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that its points have."""
        return PLACEMENT_PATHS if self.is_placement else ENGINE_PATHS

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The figures that its points have, by name."""
        return PLACEMENT_METRICS if self.is_placement else METRICS

    def _check_kind(self) -> None:
        """Refuse paths and metrics of the other kind of study."""
        here = f"of a placement where there is {SYSTEM}" if self.is_placement else f"of an engine where there is no {SYSTEM}"
        conditions = (place.path for condition in self.conditions for place in condition.places)
        wrong = next((path for path in (*self.base, *self.axes, *conditions) if path not in self.paths), None)
        if wrong is not None:
            raise SpecError(f"Study paths must be {here}, not {wrong!r}")
        for subject, names in (("constraint", self.constraints), ("objective", self.objectives)):
            for each in names:
                is_board = each.name == BOARD and not self.is_placement
                if each.name not in self.metrics and each.name not in self.paths and not is_board:
                    near = nearest(each.name, self.metrics)
                    raise SpecError(f"Study {subject} must be {near}, or a path, {here}, not {each.name!r}")
        if self.is_placement:
            return
        for subject, values in (("base.network", (self.base.get("network"),)), ("axes.network", self.axes.get("network", ()))):
            for value in values:
                self._check_network(subject, value)
        most = max((int(value) for value in (*self.axes.get("batch", ()), self.base.get("batch", 1))), default=1)
        if most > MOST_ROWS:
            raise SpecError(f"Study batch must be a whole number from 1 to {MOST_ROWS} where there is no {SYSTEM}, not {most}")

    @staticmethod
    def _check_network(subject: str, value: Value | None) -> None:
        """Refuse a network that no engine runs, of which there are only estimates."""
        try:
            if value is not None:
                shape(str(value))
        except LamforgeError as refusal:
            raise SpecError(f"Study {subject}: {refusal}") from None

    def _check_placement(self) -> None:
        """Refuse what would be said twice of a placement, and exact points, of which there are none."""
        if self.exact != "front":
            raise SpecError(f"Study exact must be left out where there is {SYSTEM}, whose points are estimates, not {self.exact!r}")
        systems = [str(value) for value in (*self.axes.get(SYSTEM, ()), *([self.base[SYSTEM]] if SYSTEM in self.base else []))]
        for place, path in enumerate((FORMAT, WINDOW), start=1):
            said = next((text for text in systems if len(parts := text.split(":")) > place and parts[place]), None)
            if said is not None and (path in self.axes or path in self.base):
                raise SpecError(f"Study {SYSTEM} must leave its {path.rpartition('.')[2]} to {path}, not be {said!r}")

    @property
    def asks_accuracy(self) -> bool:
        """Whether a constraint or an objective is one that was measured."""
        return not self._asked.isdisjoint(MEASURED)

    @property
    def asked_of_prompts(self) -> tuple[str, ...]:
        """The constraints and objectives that are metrics of prefill runs, which are simulated then."""
        return tuple(name for name in PROMPT if name in self._asked)

    @property
    def _asked(self) -> set[str]:
        return {*(each.name for each in self.constraints), *(each.name for each in self.objectives)}

    @functools.cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all that decides which rows there are: not the name, nor what is simulated or has a front."""
        names = ("base", "axes", "conditions", "constraints", "search", "accuracy")
        decisive = (*names, *(["objectives"] * (self.search.method == "optuna")))
        values = {name: value for name, value in dataclasses.asdict(self).items() if name in decisive}
        values |= dict.fromkeys(self.asked_of_prompts, True)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def is_exact_only(name: str) -> bool:
    """Return whether only the exact simulation gives a metric."""
    return name in METRICS and METRICS[name].is_exact_only


def load_study(source: str) -> Study:
    """Return a shipped study by name, or the one in a YAML file by path; raise SpecError that names every mistake."""
    document = FILES.read(source)
    if isinstance(document, dict):
        document = {"name": Path(source).stem} | document
    return study_of(document)


def study_of(document: object) -> Study:
    """Return the study in plain values; raise SpecError that names every mistake.

    Placements are compared for each of the questions that the study varies, unless it says otherwise.
    """
    if isinstance(document, dict) and "for_each" not in document:
        axes, base, search = (part if isinstance(part := document.get(name), dict) else {} for name in ("axes", "base", "search"))
        if SYSTEM in {**axes, **base} and "optuna" not in (document.get("search"), search.get("method")):
            document = document | {"for_each": [path for path in _QUESTIONS if path in axes]}
    return read(Study, document, "Study", SpecError)
