"""Knows what a compression recipe may say, and refuses what it may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from models.attention import Dense, LambdaShape, Pattern, parse
from models.compress.grid import PRUNABLE, check_inputs
from models.compress.layer import Linear
from models.compress.method import Method, Pruning, Quantizer, Transform
from models.compress.methods import METHODS, name_of
from models.compress.where import LAYERS, Where
from models.config import ModelConfig
from models.matrices import HEAD, matrix_shapes

__all__ = ["CACHES", "CalibrationSettings", "Plan", "Recipe", "Step"]

CACHES = {format.name.lower(): format for format in CacheFormat}
"""Formats of keys and values, by name."""

_FORMATS = {format.name.lower(): format for format in sorted(WEIGHT_FORMATS)}
_KEYS = ("steps", "attention", "cache", "calibration")
_CALIBRATION = ("sequences", "length", "seed", "rounded", "text")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What the weights are calibrated on.

    Attributes:
        sequences: how many stretches of text.
        length: tokens in each.
        seed: draws where they start; None spaces them evenly.
        rounded: whether layers are shown what the engine's rounding leaves of activations, keys and values.
        text: a text file; None takes the shipped text.
    """

    sequences: int = 16
    length: int = 512
    seed: int | None = None
    rounded: bool = False
    text: Path | None = None

    def __post_init__(self) -> None:
        for name in ("sequences", "length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SpecError(f"Recipe calibration.{name} must be a positive integer, not {shown(value)}")
        seed = self.seed
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 32):
            raise SpecError(f"Recipe calibration.seed must be an integer from 0 to {(1 << 32) - 1}, not {shown(seed)}")
        if not isinstance(self.rounded, bool):
            raise SpecError(f"Recipe calibration.rounded must be true or false, not {shown(self.rounded)}")

    def to_document(self) -> dict[str, Any]:
        """Return the settings as plain values, those that are not set left out."""
        document = dataclasses.asdict(self) | {"text": None if self.text is None else str(self.text)}
        return {key: value for key, value in document.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A method and the matrices it is for."""

    method: Method
    at: Where = LAYERS

    @classmethod
    def from_document(cls, document: object) -> Step:
        """Return the step in plain values: a method's name, or a mapping with `method`, `at` and the method's options."""
        if isinstance(document, str):
            document = {"method": document}
        if not isinstance(document, Mapping):
            raise SpecError(f"Step of a recipe must be a method or a mapping with one, not {shown(document)}")
        name = document.get("method")
        if name not in METHODS:
            raise SpecError(f"Step method must be {nearest(str(name), METHODS)}, not {shown(name)}")
        kind = METHODS[str(name)]
        known = [field.name for field in dataclasses.fields(kind)]
        fields = _section(f"Step {name}", document, ("method", "at", *known))
        options = {key: fields[key] for key in known if key in fields}
        if "format" in options:
            options["format"] = _format(f"Step {name} format", options["format"])
        return cls(method=kind(**options), at=Where(fields["at"]) if "at" in fields else LAYERS)

    def to_document(self) -> dict[str, Any]:
        """Return the step as plain values that `from_document` reads back to an equal one."""
        options = {field.name: getattr(self.method, field.name) for field in dataclasses.fields(self.method)}
        plain = {key: value.name.lower() if isinstance(value, Format) else value for key, value in options.items()}
        given = {key: value for key, value in plain.items() if value is not None}
        return {"method": name_of(self.method), "at": self.at.text} | given


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What happens to one matrix: transforms in order, at most one pruning, one quantizer."""

    transforms: tuple[Transform, ...]
    pruning: Pruning | None
    quantizer: Quantizer

    def needs_hessian(self, linear: Linear) -> bool:
        """Whether the energy of the matrix's inputs is asked for."""
        return self.quantizer.needs_hessian(linear) or (self.pruning is not None and self.pruning.needs_inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is compressed; activations are always 8-bit.

    Attributes:
        name: what reports call it.
        steps: methods and where they apply. A matrix gets every transform that names it, in order; of prunings and of
            formats, the last that names it.
        pattern: attention of all layers, dense or Λ-shaped.
        cache: format of keys and values.
        calibration: what the methods that look at inputs are shown.
    """

    name: str
    steps: tuple[Step, ...]
    pattern: Pattern
    cache: CacheFormat = CacheFormat.KV4
    calibration: CalibrationSettings = dataclasses.field(default_factory=CalibrationSettings)

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, Dense | LambdaShape):
            raise SpecError(f"Recipe attention must be dense or lambda, not {self.pattern}")

    @classmethod
    def uniform(cls, *, name: str, method: str, format: Format, head: Format = Format.W8, pattern: Pattern) -> Recipe:
        """Return the recipe that does one thing to all layers and rounds the head to nearest."""
        layers = Step.from_document({"method": method, "format": format.name.lower()})
        last = Step.from_document({"method": "rtn", "format": head.name.lower(), "at": HEAD})
        return cls(name=name, steps=(layers, last), pattern=pattern)

    @property
    def is_calibrated(self) -> bool:
        """Whether inputs are looked at."""
        return any(step.method.needs_inputs for step in self.steps)

    def formats(self, config: ModelConfig) -> dict[str, Format]:
        """Return the weight format of every matrix of a model."""
        return {name: plan.quantizer.format for name, plan in self.plans(config).items()}

    def plans(self, config: ModelConfig) -> dict[str, Plan]:
        """Return what happens to every matrix of a model, by name.

        Raises:
            SpecError: a pattern fits nothing, a matrix has no format, or does not fall into whole groups of it, or a
                method cannot be at a matrix it names.
        """
        named = [(step, step.at.names(config.layers)) for step in self.steps]
        for step, names in named:
            if isinstance(step.method, Transform) and not any(_part(name) in step.method.parts for name in names):
                parts = ", ".join(step.method.parts)
                raise SpecError(f"Step {name_of(step.method)} must be at {parts}, not {step.at.text}")
        return {
            name: self._plan(name, inputs, [step.method for step, names in named if name in names])
            for name, (_, inputs) in matrix_shapes(config).items()
        }

    def _plan(self, name: str, inputs: int, methods: list[Method]) -> Plan:
        quantizer = next((method for method in reversed(methods) if isinstance(method, Quantizer)), None)
        pruning = next((method for method in reversed(methods) if isinstance(method, Pruning)), None)
        if quantizer is None:
            example = f"{{method: rtn, format: w8, at: {name}}}"
            raise SpecError(f"Recipe {self.name} must give {name} a format with a step such as {example}, which is missing")
        check_inputs(quantizer.format, inputs, name)
        if pruning is not None and quantizer.format.name.lower() not in PRUNABLE:
            format = quantizer.format.name.lower()
            raise SpecError(f"Format of {name}, which is pruned, must be one of {', '.join(PRUNABLE)}, not {format}")
        if pruning is not None and inputs % 4:
            raise SpecError(f"Inputs of {name}, which is pruned, must be a multiple of 4, not {inputs}")
        transforms = tuple(method for method in methods if isinstance(method, Transform) and _part(name) in method.parts)
        for other in (*transforms, *([] if pruning is None else [pruning])):
            if quantizer.is_alone:
                raise SpecError(f"Matrix {name}, which has method {name_of(quantizer)}, must have no other, not {name_of(other)}")
        return Plan(transforms=transforms, pruning=pruning, quantizer=quantizer)

    @classmethod
    def from_yaml(cls, text: str, *, name: str) -> Recipe:
        """Return the recipe in YAML text; SpecError says in one sentence what is wrong with it."""
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"Recipe {name} must be YAML, but: {' '.join(str(error).split())}") from None
        return cls.from_document(document, name=name)

    @classmethod
    def from_document(cls, document: object, *, name: str) -> Recipe:
        """Return the recipe in nested plain values, as the YAML file and model.json hold them."""
        top = _section("Recipe", document, _KEYS)
        calibration = _section("Recipe calibration", top.get("calibration", {}), _CALIBRATION)
        steps, attention = top.get("steps"), top.get("attention")
        if not isinstance(steps, list) or not steps:
            raise SpecError(f"Recipe steps must be a list of methods, not {shown(steps)}")
        cache = top.get("cache", cls.cache.name.lower())
        if str(cache) not in CACHES:
            raise SpecError(f"Recipe cache must be {nearest(str(cache), CACHES)}, not {shown(cache)}")
        if not isinstance(attention, str):
            raise SpecError(f"Recipe attention must be one pattern for all layers, such as lambda:4+252, not {shown(attention)}")
        text = calibration.pop("text", None)
        if text is not None and not isinstance(text, str):
            raise SpecError(f"Recipe calibration.text must be a path, not {shown(text)}")
        return cls(
            name=name,
            steps=tuple(Step.from_document(step) for step in steps),
            pattern=parse(attention),
            cache=CACHES[str(cache)],
            calibration=CalibrationSettings(**calibration, text=None if text is None else Path(text)),
        )

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Return the recipe in a YAML file; SpecError when it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"Recipe {path.name} must be a readable text file, but: {error}") from None
        return cls.from_yaml(text, name=path.stem)

    def to_document(self) -> dict[str, Any]:
        """Return the recipe as nested plain values that `from_document` reads back to an equal one."""
        return {
            "steps": [step.to_document() for step in self.steps],
            "attention": str(self.pattern),
            "cache": self.cache.name.lower(),
            "calibration": self.calibration.to_document(),
        }


def _part(name: str) -> str:
    return name.rpartition(".")[2]


def _section(subject: str, document: object, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise SpecError(f"{subject} must be a mapping, not {shown(document)}")
    names = tuple(known)
    for key in document:
        if key not in names:
            raise SpecError(f"{subject} key must be {nearest(str(key), names)}, not {shown(key)}")
    return dict(document)


def _format(subject: str, value: object) -> Format:
    if value not in _FORMATS:
        raise SpecError(f"{subject} must be {nearest(str(value), _FORMATS)}, not {shown(value)}")
    return _FORMATS[str(value)]
