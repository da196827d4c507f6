"""Knows how an engine is chosen: a shipped name or a YAML file, with single values set by path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import SpecError, shown

__all__ = ["chosen_engine"]


def chosen_engine(name: str, settings: Sequence[str] = ()) -> EngineConfig:
    """Return engine `name` with `settings` such as `tile.tokens=2`; raise ConfigError or SpecError."""
    engine = load_engine(name)
    values: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path or not text:
            raise SpecError(f"Setting must be PATH=VALUE such as tile.tokens=2, not {shown(setting)}")
        try:
            values[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecError(f"Setting {path} must have a plain value, not {shown(text)}") from None
    return engine.with_values(values) if values else engine
