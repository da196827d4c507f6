"""Knows what a compression recipe may say, and refuses what it may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from models.attention import Dense, LambdaShape, Pattern, parse
from models.nearest import nearest

__all__ = ["METHODS", "CalibrationSettings", "Recipe"]

METHODS = ("gptq", "rtn")
"""How weights are put on their grid."""

_FORMATS = {format.name.lower(): format for format in sorted(WEIGHT_FORMATS)}
_SECTIONS = {
    "weights": ("method", "format"),
    "head": ("format",),
    "attention": None,
    "calibration": ("sequences", "length", "text"),
    "balance_keys": None,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What the weights are calibrated on.

    Attributes:
        sequences: how many stretches of text, evenly spaced.
        length: tokens in each.
        text: a text file; None takes the shipped text.
    """

    sequences: int = 16
    length: int = 512
    text: Path | None = None

    def __post_init__(self) -> None:
        for name in ("sequences", "length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SpecError(f"Recipe calibration.{name} must be a positive integer, not {value!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is compressed; activations are always 8-bit, keys and values 4-bit.

    Attributes:
        name: what reports call it.
        method: one of METHODS, for the matrices of the layers; the head is always rounded to nearest.
        format: weight format of the layers' matrices.
        head_format: weight format of the head.
        pattern: attention, dense or Λ-shaped.
        calibration: what the methods that look at inputs are shown.
        balance_keys: whether the channels of queries and keys are rescaled, without changing their products, so that
            4-bit keys waste less of their range.
    """

    name: str
    method: str = "gptq"
    format: Format = Format.W4
    head_format: Format = Format.W8
    pattern: Pattern
    calibration: CalibrationSettings = dataclasses.field(default_factory=CalibrationSettings)
    balance_keys: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SpecError(f"Recipe weights.method must be {nearest(str(self.method), METHODS)}, not {self.method!r}")
        if not isinstance(self.pattern, Dense | LambdaShape):
            raise SpecError(f"Recipe attention must be dense or lambda, not {self.pattern}")
        if not isinstance(self.balance_keys, bool):
            raise SpecError(f"Recipe balance_keys must be true or false, not {self.balance_keys!r}")

    @property
    def is_calibrated(self) -> bool:
        """Whether inputs are looked at."""
        return self.method != "rtn" or self.balance_keys

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
        top = _section("Recipe", document, _SECTIONS)
        weights, head, calibration = (
            _section(f"Recipe {key}", top.get(key, {}), _SECTIONS[key] or ())
            for key in ("weights", "head", "calibration")
        )
        attention = top.get("attention")
        if not isinstance(attention, str):
            raise SpecError(f"Recipe attention must be a pattern such as lambda:4+252, not {attention!r}")
        given_text = calibration.get("text")
        if given_text is not None and not isinstance(given_text, str):
            raise SpecError(f"Recipe calibration.text must be a path, not {given_text!r}")
        return cls(
            name=name,
            method=weights.get("method", "gptq"),
            format=_format("weights.format", weights.get("format", "w4")),
            head_format=_format("head.format", head.get("format", "w8")),
            pattern=parse(attention),
            calibration=CalibrationSettings(
                sequences=calibration.get("sequences", 16),
                length=calibration.get("length", 512),
                text=None if given_text is None else Path(given_text),
            ),
            balance_keys=top.get("balance_keys", False),
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
        calibration: dict[str, Any] = {"sequences": self.calibration.sequences, "length": self.calibration.length}
        if self.calibration.text is not None:
            calibration["text"] = str(self.calibration.text)
        return {
            "weights": {"method": self.method, "format": self.format.name.lower()},
            "head": {"format": self.head_format.name.lower()},
            "attention": str(self.pattern),
            "calibration": calibration,
            "balance_keys": self.balance_keys,
        }


def _section(subject: str, document: object, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise SpecError(f"{subject} must be a mapping, not {document!r}")
    names = tuple(known)
    for key in document:
        if key not in names:
            raise SpecError(f"{subject} key must be {nearest(str(key), names)}, not {key!r}")
    return dict(document)


def _format(key: str, value: object) -> Format:
    if value not in _FORMATS:
        raise SpecError(f"Recipe {key} must be {nearest(str(value), _FORMATS)}, not {value!r}")
    return _FORMATS[str(value)]
