"""The paths of a study of placements: which system holds a model, in which format and window, and what is asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

from hwsim.errors import LamforgeError, shown
from hwsim.plain import Settings, set_values
from hwsim.reader import Limits, spelled
from lamforge.flow.offload.contender import DENSE, PROMPT, contender
from lamforge.flow.offload.work_format import work_format

__all__ = ["FORMAT", "SETTINGS", "SYSTEM", "WINDOW", "Placed", "settings_of"]

SYSTEM, FORMAT, WINDOW, SETTINGS = "placement.system", "placement.format", "placement.window", "placement.settings"
"""Paths of a placement; a study that has the first one is a study of placements."""


@dataclasses.dataclass(frozen=True)
class _Checked:
    """Mark of a text that a function checks, and may write in another way."""

    made: Callable[[object], str]
    says: str
    has_numbers: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        def check(value: Any, subject: str) -> str:
            try:
                return self.made(value)
            except TypeError:
                raise LamforgeError(f" must be {self.says}, not {shown(value)}") from None

        text: Any = core_schema.str_schema()
        shape = core_schema.union_schema([core_schema.int_schema(ge=1), text]) if self.has_numbers else text
        return spelled(check, shape, self.says)


def _system(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    contender(value)
    return value


def _format(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    work_format(value)
    return value


def _window(value: object) -> str:
    """Return `dense` or a number of tokens as a text; raise TypeError for anything else."""
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or (text != DENSE and not (text.isdecimal() and int(text) >= 1)):
        raise TypeError
    return text


def _settings(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    settings_of(value)
    return value


def settings_of(text: str) -> Settings:
    """Return the settings in a text such as `csds=2` or `csds=2; gpu=a100-sxm-80`; raise SpecError where it is not one."""
    return set_values([part.strip() for part in text.split(";") if part.strip()], "csds=2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacementDesign:
    """A system and how it holds the model."""

    system: Annotated[str, _Checked(_system, "a system as `lamforge offload run` takes it")]
    """System of offloading, as `lamforge offload run` takes it: `gpu-a100`, `fpga-u280:w2a8kv4:2048`, or a YAML file."""
    format: Annotated[str, _Checked(_format, "a format as `lamforge offload run` takes it, such as w2a8kv4 or w4")] | None = None
    """Format of weights, activations and cache; without it that in the system's text, or FP16."""
    window: Annotated[str, _Checked(_window, "a number of tokens or dense", has_numbers=True)] | None = None
    """Tokens that stay cached, or `dense`; without it that in the system's text, or dense."""
    settings: Annotated[str, _Checked(_settings, "settings such as 'csds=2; gpu=a6000'")] = ""
    """Values of the systems to change, such as `csds=2`, with semicolons between."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    """What one point of a study of placements is, beside its network and batch."""

    placement: PlacementDesign
    prompt: Annotated[int, Limits(1, 1 << 24)] = PROMPT
    """Tokens of a sequence before the first generated one."""
    generate: Annotated[int, Limits(1, 1 << 24)] = 256
    """Tokens generated for each sequence."""
