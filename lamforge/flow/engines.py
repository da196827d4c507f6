"""How a verb's engine is chosen: a shipped name, a YAML file or an engine, with single values set by path."""

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.plain import Settings

__all__ = ["chosen_engine"]


def chosen_engine(engine: str | EngineConfig, settings: Settings | None = None) -> EngineConfig:
    """Return an engine by name, YAML file or as it is, with values such as `{"tile.tokens": 2}` changed.

    ConfigError when there is no such engine or field, or the engine cannot be built.
    """
    found = load_engine(engine) if isinstance(engine, str) else engine
    return found.with_values(dict(settings)) if settings else found
