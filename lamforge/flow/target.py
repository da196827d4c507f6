"""What is compiled and timed: a compressed model, or a well-known network without weights, for an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from compiler.pipeline import Request, compile_request
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import ScheduleError, SpecError, shown
from hwsim.nearest import nearest
from hwsim.plain import Settings
from lamforge.flow.engines import chosen_engine
from lamforge.flow.programs import Programs
from models.config import ModelConfig
from models.recipes.file import CACHES
from models.recipes.options import FORMATS
from models.zoo import shape

if TYPE_CHECKING:
    # A workload does without PyTorch, which models need.
    from lamforge.flow.sources import ModelSource

__all__ = ["SINKS", "Target", "cache_named", "format_named", "request_of_network"]

SINKS = 4
"""Sink tokens of a network's Λ attention; the rest of what its cache keeps is the window."""
Kind = TypeVar("Kind")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A model or a network, and the engine it is compiled for.

    Attributes:
        model: folder of a compressed model, or one that is open; None where a workload is named.
        workload: name of a well-known network, compiled without weights; None where a model is given.
        engine: name of a shipped engine, path of a YAML file, or an engine; None takes `small`.
        settings: values of the engine to change, by path: `{"tile.tokens": 2}`.
        context: tokens that the cache of a workload keeps: sinks and window. A model has its own window.
        positions: positions of a model that can be run; None takes what the model was made for.
        layers, head: weight formats of a workload's layers and of its head: `w2s`, `w2`, `w4` or `w8`.
        cache: format of a workload's keys and values: `kv4` or `kv8`.
        batch: sequences of a workload that are decoded together.
    """

    model: ModelSource | Programs | None = dataclasses.field(default=None, kw_only=False)
    workload: str | None = None
    engine: str | EngineConfig | None = None
    settings: Settings = dataclasses.field(default_factory=dict)
    context: int | None = None
    positions: int | None = None
    layers: str = "w2s"
    head: str = "w4"
    cache: str = "kv4"
    batch: int = 1

    def check(self) -> None:
        """Raise SpecError unless either a model or a workload is given, with what belongs to it and nothing else."""
        if (self.model is None) == (self.workload is None):
            given = "neither" if self.model is None else "both"
            raise SpecError(f"Either a model or a workload must be given, not {given}")
        if self.workload is not None and self.context is None:
            raise SpecError("Context, the tokens that a workload's cache keeps, must be given with a workload, not left out")
        if self.workload is not None and self.positions is not None:
            raise SpecError("Positions must be left to a workload, which follow from its context, not given")
        if self.model is not None and self.context is not None:
            raise SpecError("Context must be left to the model, which has its own window, not given")
        if self.model is not None and self.batch != 1:
            raise SpecError("Batch must be left to a workload, or to the compiled programs, not given with a model")
        if self.model is not None and self.formats != Target().formats:
            raise SpecError("Formats must be left to the model, which has its own, not given")

    @property
    def formats(self) -> tuple[str, str, str]:
        """Names of the formats of a workload's layers, head and cache."""
        return self.layers, self.head, self.cache

    @property
    def chosen_engine(self) -> EngineConfig:
        """The engine with its settings; raises ConfigError."""
        return chosen_engine("small" if self.engine is None else self.engine, self.settings)

    def network_request(self) -> Request:
        """Return what the compiler is asked for the workload, whose caches keep `context` tokens each, sinks included.

        Raises ScheduleError for a context that is too short, CheckpointError, SpecError or ConfigError for what is not there.
        """
        assert self.workload is not None and self.context is not None
        engine = self.chosen_engine
        if self.context <= SINKS:
            raise ScheduleError(f"Context must be more than the {SINKS} sink tokens, not {self.context}")
        return request_of_network(
            shape(self.workload),
            engine,
            layers=format_named(self.layers),
            head=format_named(self.head),
            cache=cache_named(self.cache),
            sinks=SINKS,
            window=self.context - SINKS,
            batch=self.batch,
        )

    def network_programs(self) -> Programs:
        """Return the programs of the workload; raises what `network_request` does, and where something does not fit the engine."""
        request = self.network_request()
        return Programs.of(compile_request(request), request.config.name)

    @property
    def folder(self) -> Path | None:
        """The folder that the model may lie in, or compiled programs in its place."""
        return Path(self.model) if isinstance(self.model, str | Path) else None


def request_of_network(
    config: ModelConfig,
    engine: EngineConfig,
    *,
    layers: Format,
    head: Format,
    cache: CacheFormat,
    sinks: int,
    window: int,
    batch: int,
) -> Request:
    """Return what the compiler is asked for a network without weights; raise ScheduleError for what no engine can run."""
    return Request(
        config=config,
        layers=layers,
        head=head,
        cache=cache,
        sinks=sinks,
        window=window,
        engine=engine,
        # Positions beyond the window, so that a run with a full window before it is possible.
        context=sinks + window + engine.tile.tokens,
        prefill_rows=engine.tile.rows_of(layers),
        batch=batch,
    )


def format_named(name: str) -> Format:
    """Return a weight format by its lower-case name; raise SpecError."""
    return _named("Format", name, FORMATS)


def cache_named(name: str) -> CacheFormat:
    """Return a format of keys and values by its lower-case name; raise SpecError."""
    return _named("Cache", name, CACHES)


def _named(subject: str, name: str, known: Mapping[str, Kind]) -> Kind:
    if name.lower() not in known:
        raise SpecError(f"{subject} must be {nearest(name, known)}, not {shown(name)}")
    return known[name.lower()]
