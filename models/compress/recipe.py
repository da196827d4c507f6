"""Recipes: which compression methods apply to which matrices, and what of that suits a model."""

import dataclasses
from typing import Any, Self

from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import SpecError
from hwsim.reader import check_name, read
from models.attention import Dense, LambdaShape, Pattern, parse
from models.compress.grid import PRUNABLE, check_inputs
from models.compress.layer import Linear
from models.compress.method import Method, Pruning, Quantizer, Transform
from models.compress.methods import METHODS, name_of
from models.config import ModelConfig
from models.matrices import HEAD, matrix_shapes
from models.recipes.file import LAYERS, CalibrationSettings, RecipeFile, StepFile, Where

__all__ = ["Plan", "Recipe", "Step"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A method and the matrices it is for."""

    method: Method
    at: Where = LAYERS

    @classmethod
    def of(cls, stated: StepFile) -> Self:
        """Return the step that a file states."""
        kind = METHODS[stated.method]
        return cls(method=kind(**{field.name: getattr(stated, field.name) for field in dataclasses.fields(kind)}), at=stated.at)

    def to_document(self) -> dict[str, Any]:
        """Return the step as plain values that a file may have."""
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

    name: what reports call it; it goes into the names of folders.
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
        check_name(self.name, "Recipe", SpecError)
        if not isinstance(self.pattern, Dense | LambdaShape):
            raise SpecError(f"Recipe attention must be dense or lambda, not {self.pattern}")

    @classmethod
    def uniform(cls, *, name: str, method: str, format: Format, head: Format = Format.W8, pattern: Pattern) -> Self:
        """Return the recipe that does one thing to all layers and rounds the head to nearest."""
        layers = {"method": method, "format": format.name.lower()}
        last = {"method": "rtn", "format": head.name.lower(), "at": HEAD}
        return cls.from_document({"steps": [layers, last], "attention": str(pattern)}, name=name)

    @property
    def is_calibrated(self) -> bool:
        """Whether inputs are looked at."""
        return any(step.method.needs_inputs for step in self.steps)

    def plans(self, config: ModelConfig) -> dict[str, Plan]:
        """Return what happens to every matrix of a model, by name.

        SpecError when a pattern fits nothing, a matrix has no format, or does not fall into whole groups of it, or a
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
    def of(cls, stated: RecipeFile, *, name: str) -> Self:
        """Return the recipe that a file states; SpecError where its attention is none."""
        steps, pattern = tuple(map(Step.of, stated.steps)), parse(stated.attention)
        return cls(name=name, steps=steps, pattern=pattern, cache=stated.cache, calibration=stated.calibration)

    @classmethod
    def from_document(cls, document: object, *, name: str) -> Self:
        """Return the recipe in nested plain values, as YAML files and model.json hold them; SpecError names every mistake."""
        return cls.of(read(RecipeFile, document, "Recipe", SpecError), name=name)

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
