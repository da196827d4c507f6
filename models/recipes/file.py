"""What a recipe's file may say and how it names matrices, checked before anything that takes seconds to load is loaded."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from hwsim.arch.isa import CacheFormat
from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.reader import Limits, Matching, OneOf, SpecFiles, read, spelled
from models.matrices import HEAD, PARTS, layer_part
from models.recipes.options import OPTIONS

__all__ = ["CACHES", "FILES", "LAYERS", "CalibrationSettings", "RecipeFile", "StepFile", "Where", "calibrated_on", "recipe_file"]

_WHICH = r"\*|[0-9]+(?:-[0-9]+)?"
_TEXT = re.compile(
    rf"(?:layers\.(?P<layers>{_WHICH})|\*)\.(?P<part>\*|[a-z]+)|layers\.(?P<alone>{_WHICH})|(?P<head>[a-z]+)|(?P<all>\*)"
)

CACHES = {format.name.lower(): format for format in CacheFormat}
"""Formats of keys and values, by name."""
FILES = SpecFiles("Recipe", "", SpecError, package="models.recipes")
"""The recipes that ship."""


@dataclasses.dataclass(frozen=True)
class Where:
    """A set of matrices, as a recipe spells it.

    text: one pattern, or several with commas between them. A pattern is `head`, `*` for everything, or
        `layers.<which>.<part>`: which is `*`, a number or a range such as 0-3, part is `*` or one of PARTS and may be
        left out; `*.<part>` stands for `layers.*.<part>`.
    """

    text: str

    def __post_init__(self) -> None:
        for pattern in self._patterns:
            found = _TEXT.fullmatch(pattern)
            if found is None:
                raise SpecError(f"Pattern of matrices must be such as head, layers.0-3.down or *.qkv, not {shown(pattern)}")
            if found["head"] not in (None, HEAD):
                near = nearest(found["head"], (HEAD, "layers.*"))
                raise SpecError(f"Pattern of matrices must be {near}, not {shown(pattern)}")
            if found["part"] not in (None, "*", *PARTS):
                near, part = nearest(found["part"], PARTS), shown(found["part"])
                raise SpecError(f"Part in {shown(pattern)} must be {near}, not {part}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Let files give it as a text."""
        from pydantic_core import core_schema

        def check(text: Any, subject: str) -> "Where":
            if not isinstance(text, str) or not text:
                raise ValueError
            return cls(text)

        return spelled(check, core_schema.str_schema(), "a pattern of matrices such as layers.0-3.down")

    @property
    def _patterns(self) -> list[str]:
        return [pattern.strip() for pattern in self.text.split(",")]

    def names(self, layers: int) -> set[str]:
        """Return the names of the matrices of a model with so many layers.

        SpecError when a pattern fits none.
        """
        found: set[str] = set()
        for pattern in self._patterns:
            fitting = self._fitting(pattern, layers)
            if not fitting:
                raise SpecError(f"Pattern must fit a matrix of the model's {layers} layers, not {shown(pattern)}")
            found |= fitting
        return found

    @staticmethod
    def _fitting(pattern: str, layers: int) -> set[str]:
        match = _TEXT.fullmatch(pattern)
        assert match is not None
        if match["head"]:
            return {HEAD}
        which = match["layers"] or match["alone"] or "*"
        first, last = (0, layers - 1) if which == "*" else (int(which.split("-")[0]), int(which.split("-")[-1]))
        if which != "*" and last >= layers:
            return set()
        parts = PARTS if match["part"] in (None, "*") else (match["part"],)
        found = {layer_part(layer, part) for layer in range(first, last + 1) for part in parts}
        return found | {HEAD} if match["all"] else found


LAYERS = Where("layers.*")
"""Every matrix of every layer."""


class _FilePath:
    """Mark of a path."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        def check(value: Any, subject: str) -> Path:
            if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
                raise ValueError
            return Path(value)

        return spelled(check, core_schema.str_schema(), "a path")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What the weights are calibrated on."""

    sequences: Annotated[int, Limits(1)] = 16
    """Stretches of text."""
    length: Annotated[int, Limits(1)] = 512
    """Tokens in each."""
    seed: Annotated[int, Limits(0, (1 << 32) - 1)] | None = None
    """Draws where they start; without one they are spaced evenly."""
    rounded: bool = False
    """Whether layers are shown what the engine's rounding leaves of activations, keys and values."""
    text: Annotated[Path, _FilePath] | None = None
    """A text file; without one it is the shipped text."""

    def to_document(self) -> dict[str, Any]:
        """Return the settings as plain values, those that are not set left out."""
        document = dataclasses.asdict(self) | {"text": None if self.text is None else str(self.text)}
        return {key: value for key, value in document.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepFile:
    """What every step says beside the options of its method."""

    method: str
    """Name of the method."""
    at: Where = LAYERS
    """Matrices it is for: `head`, `layers.*`, `layers.0-3.down`, `*.qkv`, several of them with commas, or `*` for all."""


class _Steps:
    """Mark of a step: the name of a method, or a mapping of `method`, `at` and the method's options."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        kinds = {
            name: dataclasses.make_dataclass(name, [("method", Literal[name])], bases=(StepFile, kind), frozen=True, kw_only=True)
            for name, kind in OPTIONS.items()
        }
        schema = core_schema.tagged_union_schema({name: handler(kind) for name, kind in kinds.items()}, "method")
        either = core_schema.union_schema([core_schema.literal_schema(list(OPTIONS)), schema])
        return core_schema.no_info_before_validator_function(
            lambda value: {"method": value} if isinstance(value, str) else value,
            schema,
            json_schema_input_schema=either,
            metadata={"says": "the name of a method, or a mapping with one"},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeFile:
    """A recipe as its file has it."""

    steps: tuple[Annotated[StepFile, _Steps], ...]
    """Methods, in order, and the matrices they are for."""
    attention: Annotated[str, Matching(r"dense|lambda:[0-9]+\+[0-9]+", "dense, or lambda:SINKS+WINDOW such as lambda:4+252")]
    """Attention of all layers."""
    cache: Annotated[CacheFormat, OneOf(CACHES)] = CacheFormat.KV4
    """Format of keys and values."""
    calibration: CalibrationSettings = CalibrationSettings()
    """What the methods that look at inputs are shown."""


def recipe_file(name: str, calibration: Path | None = None) -> RecipeFile:
    """Return what is in a shipped recipe by name, or in a YAML file by path, calibrated on the text `calibration` when given.

    SpecError when there is none of the name, it says what a recipe may not say, or the text it names is no file.
    """
    found = read(RecipeFile, FILES.read(name), "Recipe", SpecError)
    text = calibration or found.calibration.text
    return found if text is None else dataclasses.replace(found, calibration=calibrated_on(found.calibration, text))


def calibrated_on(settings: CalibrationSettings, text: Path) -> CalibrationSettings:
    """Return calibration settings with another text; raise SpecError where that is no file."""
    if not text.is_file():
        raise SpecError(f"Calibration text must be a file, not {shown(str(text))}")
    return dataclasses.replace(settings, text=text)
