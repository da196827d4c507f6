"""The choice of an engine: a shipped name or a YAML file, with single values set by path."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.plain import set_values

__all__ = ["chosen_engine"]


def chosen_engine(name: str, settings: Sequence[str] = ()) -> EngineConfig:
    """Return engine `name` with `settings` such as `tile.tokens=2`; raise ConfigError or SpecError."""
    return load_engine(name).with_values(set_values(settings))
