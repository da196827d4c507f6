"""The paths that a study may set or vary, derived from the classes that declare a design and an engine."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from hwsim.arch.board import load_board
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.doc_pages import field_docs
from hwsim.errors import LamforgeError, SpecError, shown
from hwsim.memory.models import memory_model
from hwsim.reader import Limits, OneOf, fields_of, read, spelled
from lamforge.explore.placement_axes import SYSTEM, Placed
from lamforge.flow.target import SINKS, Target
from models.recipes.file import CACHES
from models.recipes.options import FORMATS
from models.zoo import network

__all__ = ["ALIASES", "ENGINE_PATHS", "MOST_ROWS", "PLACEMENT_PATHS", "PLACES", "Design", "Place", "Value", "place_of"]

Value = str | int | float
"""A value of an axis."""

MOST_ROWS = 64
"""Largest batch that an engine is asked for."""
_WEIGHTS, _CACHES = tuple(FORMATS), tuple(CACHES)


@dataclasses.dataclass(frozen=True)
class _Named:
    """Mark of a text that something loads: a name of what ships, or a file."""

    load: Callable[[str], object]
    says: str

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        def check(value: Any, subject: str) -> str:
            if not isinstance(value, str) or not value:
                raise LamforgeError(f" must be {self.says}, not {shown(value)}")
            self.load(value)
            return value

        return spelled(check, core_schema.str_schema(), self.says)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayersDesign:
    """The weights of the layers."""

    format: Annotated[str, OneOf(_WEIGHTS)] = Target.layers
    """Weight format of the layers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadDesign:
    """The weights of the head."""

    format: Annotated[str, OneOf(_WEIGHTS)] = Target.head
    """Weight format of the head."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheDesign:
    """Keys and values."""

    format: Annotated[str, OneOf(_CACHES)] = Target.cache
    """Format of keys and values."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionDesign:
    """The Λ pattern of attention."""

    sinks: Annotated[int, Limits(0, 1 << 20)] = SINKS
    """First tokens that are kept for good."""
    window: Annotated[int, Limits(1, 1 << 24)] | None = None
    """Recent tokens that are kept; without it, the context less the sinks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """What one point of a study is; the fields of its engine are paths below `engine`."""

    network: Annotated[str, _Named(network, "the name of a network or its config.json")]
    """Network that is decoded, without weights."""
    engine: Annotated[str, _Named(load_engine, "the name of an engine or a YAML file")] = "small"
    """Engine from which everything that is not set below `engine` is taken."""
    layers: LayersDesign = LayersDesign()
    head: HeadDesign = HeadDesign()
    cache: CacheDesign = CacheDesign()
    attention: AttentionDesign = AttentionDesign()
    context: Annotated[int, Limits(2, 1 << 24)] = 2048
    """Tokens that the cache keeps, sinks and window; left out where `attention.window` is given."""
    batch: Annotated[int, Limits(1, 1 << 24)] = Target.batch
    """Sequences that are decoded together; on an engine at most 64."""
    memory: Annotated[str, _Named(memory_model, "the name of a memory model")] = "ideal"
    """Memory model: ideal, stalling or hbm2, the last two also with `:SEED`."""
    board: Annotated[str, _Named(load_board, "the name of a board or a YAML file")] = "u280"
    """Board that `fits: board` means."""


ALIASES = {"weights.format": "layers.format"}
"""Other names of paths."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """One path of a design.

    Attributes:
        path: names from the outermost on, with points between.
        kind: type of its values, with the marks that limit it.
        told: what it is, in a sentence.
        default: what is taken where a study says nothing; None where it must be said, or follows from other paths.
    """

    path: str
    kind: Any
    told: str
    default: Value | None

    @functools.cached_property
    def says(self) -> str:
        """What its values must be."""
        return fields_of(self.kind)[0].says

    @property
    def is_text(self) -> bool:
        """Whether its values are texts; all others are numbers."""
        return typing.get_args(self.kind)[0] is str

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return typing.get_args(self.kind)[0] is int

    def read(self, value: object, subject: str) -> Value:
        """Return a value of a file as one of this path; raise SpecError, whose sentence begins with the subject."""
        try:
            found: Value = read(self.kind, value, subject, SpecError)
        except LamforgeError as refusal:
            sentence = str(refusal)
            raise SpecError(sentence if sentence.startswith(subject) else f"{subject}: {sentence}") from None
        return found


def _places(kind: type, prefix: str = "") -> Iterator[Place]:
    hints, docs = typing.get_type_hints(kind, include_extras=True), field_docs(kind)
    for field in dataclasses.fields(kind):
        path, hint = f"{prefix}{field.name}", hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _places(typing.cast(type, hint), f"{path}.")
            continue
        if typing.get_origin(hint) is not Annotated:
            # What may be left out: `Annotated[...] | None`.
            hint = typing.get_args(hint)[0] if typing.get_args(hint) else Annotated[hint, Limits()]
        default = None if field.default is dataclasses.MISSING else typing.cast(Value | None, field.default)
        yield Place(path=path, kind=hint, told=docs.get(field.name, ""), default=default)
        if path == "engine":
            yield from (place for place in _places(EngineConfig, "engine.") if place.path != "engine.name")


PLACES = {place.path: place for kind in (Design, Placed) for place in _places(kind)}
"""Every path, in the order of the declarations."""
ENGINE_PATHS = tuple(place.path for place in _places(Design))
"""Paths of a study of engines."""
PLACEMENT_PATHS = ("network", *(place.path for place in _places(Placed)), "batch")
"""Paths of a study of placements, which is one that has the first of those with `placement`."""
assert SYSTEM in PLACEMENT_PATHS


def place_of(path: str, subject: str) -> Place:
    """Return the place with a path or one of ALIASES; raise SpecError that names the nearest one."""
    known = ALIASES.get(path, path)
    if known not in PLACES:
        near = difflib.get_close_matches(path[:100], [*PLACES, *ALIASES], 1, 0.0)[0]
        raise SpecError(f"{subject} must be a path of a design such as {shown(near)}, not {shown(path)}")
    return PLACES[known]
