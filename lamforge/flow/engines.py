"""How a verb's engine is chosen: a shipped name, a YAML file or an engine, with single values set by path."""

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.plain import Settings

__all__ = ["chosen_engine"]


def chosen_engine(engine: str | EngineConfig, settings: Settings | None = None) -> EngineConfig:
    """Return an engine by name, YAML file or as an object, with values such as `{"tile.tokens": 2}` changed.

    An object is checked as a file is: its name too, which goes into paths and scripts.

    ConfigError when there is no such engine or field, or the engine cannot be built.
    """
    found = EngineConfig.from_dict(engine.to_dict()) if isinstance(engine, EngineConfig) else load_engine(str(engine))
    return found.with_values(dict(settings)) if settings else found
