"""Knows the published shapes of well-known models, one data file each, for studies that need no weights."""

from importlib import resources

import yaml

from hwsim.errors import CheckpointError
from hwsim.nearest import nearest
from models.config import ModelConfig

__all__ = ["names", "shape"]


def names() -> tuple[str, ...]:
    """Return the names that `shape` knows, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in files if entry.name.endswith(".yaml")))


def shape(name: str) -> ModelConfig:
    """Return the configuration of a published model; CheckpointError names the nearest one."""
    known = names()
    if name not in known:
        raise CheckpointError(f"Model shape must be {nearest(name, known)}, not {name!r}")
    document = yaml.safe_load((resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not document.pop("source", None):
        raise CheckpointError(f"Model shape {name} must say its source")
    return ModelConfig.from_fields(document | {"name": name})
