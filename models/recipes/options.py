"""What each compression method may be told, by the name that recipes use; the methods themselves are in models.compress."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from hwsim.arch.isa import Format
from hwsim.reader import Limits, Matching, OneOf

__all__ = [
    "FORMATS",
    "OPTIONS",
    "BalanceKeysOptions",
    "DistillOptions",
    "KeepOptions",
    "NoOptions",
    "QuantizerOptions",
    "SmoothOptions",
]

FORMATS = {format.name.lower(): format for format in sorted(Format) if format.cache is None}
"""Formats of weights, by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A method that is told nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizerOptions:
    """A method that stores weights."""

    format: Annotated[Format, OneOf(FORMATS)] = Format.W4
    """Format of the weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeepOptions(QuantizerOptions):
    """A method that takes over stored 4-bit weights."""

    format: Annotated[Format, OneOf({"w4": Format.W4})] = Format.W4
    """Format of the weights, that of GGUF Q4_1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillOptions(QuantizerOptions):
    """A method that takes over what a training made."""

    format: Annotated[Format, OneOf({"w2s": Format.W2S, "w2": Format.W2})] = Format.W2S
    """Format that was trained."""
    result: Annotated[str, Matching(r"[\s\S]+", "a shipped name or a folder")]
    """A shipped training (models.distill.shipped.NAMES), or the folder that a training wrote."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BalanceKeysOptions:
    """A method that fits keys to the cache."""

    steps: int = 60
    """Steps of gradient descent after the search; 0 leaves it out."""
    shift: bool = True
    """Whether keys may be shifted, which gives the model biases."""
    biased_only: bool = False
    """Whether keys that come without a bias are left as they are, so that no model gets one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmoothOptions:
    """A method that divides strong inputs."""

    share: Annotated[float, Limits(0, 1)] | None = None
    """Exponent of an input's largest magnitude in its factor; without one the best is searched for."""
    steps: int = 0
    """Steps of descent after that; 0 leaves it out."""


OPTIONS: Mapping[str, type] = {
    "balance_keys": BalanceKeysOptions,
    "rotate_values": NoOptions,
    "smooth": SmoothOptions,
    "magnitude": NoOptions,
    "wanda": NoOptions,
    "sparsegpt": NoOptions,
    "rtn": QuantizerOptions,
    "gptq": QuantizerOptions,
    "keep": KeepOptions,
    "distill": DistillOptions,
}
"""Every method by name."""
