"""Published networks by name, and those of a config.json or a checkpoint: their sizes, or their whole configuration."""

import dataclasses
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from hwsim.arch.workload import Network
from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.config import DESCRIPTION, ModelConfig
from models.families import ARCHITECTURES, FAMILIES, SIZES, family_of, read_object

__all__ = ["names", "network", "network_of", "shape"]


def names() -> tuple[str, ...]:
    """Return the names of the networks that ship, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in files if entry.name.endswith(".json")))


def network(source: str) -> Network:
    """Return the sizes of a network, for estimates.

    source: name of a network that ships, or path of a `config.json`, of a folder with a checkpoint or a compressed model,
        or of a `.gguf` file; no weight is read.

    CheckpointError when there is none, or its configuration is wrong.
    """
    name, found = _found(source)
    if isinstance(found, ModelConfig):
        return dataclasses.replace(network_of(found), name=name)
    family = family_of(found)
    return Network(name=name, is_gated=family.is_gated, is_tied=family.has_tied_head(found), **family.sizes(found))


def network_of(config: ModelConfig) -> Network:
    """Return the sizes of a network that the engine runs, for estimates."""
    return Network(name=config.name, is_gated=True, is_tied=config.tied_head, **{size: getattr(config, size) for size in SIZES})


def shape(source: str) -> ModelConfig:
    """Return the configuration of a network that the engine runs.

    source: as for `network`.

    CheckpointError when there is none, its configuration is wrong, or the engine does not run its architecture.
    """
    name, found = _found(source)
    if isinstance(found, ModelConfig):
        return found
    family = FAMILIES.get(str(found.get("model_type")))
    if family is not None and not family.is_run:
        raise CheckpointError(
            f"Model {name} must be of an architecture that the engine runs ({', '.join(ARCHITECTURES)}), "
            f"not {family.architecture}, of which there are only estimates"
        )
    return dataclasses.replace(ModelConfig.from_huggingface(found), name=name)


def _found(source: str) -> tuple[str, ModelConfig | Mapping[str, object]]:
    """Return the name of a network, and its configuration or its parsed config.json."""
    if source in names():
        return source, json.loads((resources.files(__name__) / f"{source}.json").read_text(encoding="utf-8"))
    path = Path(source)
    try:
        if (path / DESCRIPTION).is_file():
            config = ModelConfig.from_fields(read_object(path / DESCRIPTION).get("config"))
            return config.name, config
        if path.is_dir():
            return path.resolve().name, read_object(path / "config.json")
        if path.is_file() and path.suffix.lower() == ".gguf":
            # Imported here: reading a GGUF file takes PyTorch, everything else does without.
            from models.checkpoint import load

            config = load(path).config
            return config.name, config
        if path.is_file():
            return (path.resolve().parent.name if path.name == "config.json" else path.stem), read_object(path)
    except OSError:
        # A text that no file system takes for a path is a wrong name.
        pass
    known = nearest(source, names())
    raise CheckpointError(
        f"Model must be {known}, or a config.json, a folder with one, a compressed model or a .gguf file, not {shown(source[:200])}"
    )
