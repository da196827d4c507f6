"""Knows how a checkpoint becomes a compressed model on disk, and what there is to say about it."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models import compressed as folder
from models.checkpoint import Checkpoint
from models.checkpoint.layout import tensor_shapes
from models.compress import Recipe
from models.compressed import CompressedModel
from models.matrices import matrix_shapes
from models.recipes import recipe_file

__all__ = ["chosen_recipe", "compress", "folder_bytes", "model_document", "parameters"]


def chosen_recipe(name: str, calibration: Path | None = None) -> Recipe:
    """Return a shipped recipe by name or the one in a YAML file, calibrated on the text `calibration` when given."""
    return Recipe.of(recipe_file(name, calibration), name=Path(name).stem if name.endswith((".yaml", ".yml")) else name)


def compress(
    checkpoint: Checkpoint, recipe: Recipe, output: Path, progress: Callable[[float], None] | None = None
) -> CompressedModel:
    """Return a checkpoint compressed by a recipe, saved at `output`, all or nothing; what was killed goes on.

    Raises:
        SpecError: the recipe does not suit the model, or `output` holds something else.
    """

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(done / total)

    return folder.make(checkpoint, recipe, output, progress=told)


def parameters(checkpoint: Checkpoint) -> int:
    """Return the numbers a checkpoint holds."""
    return sum(math.prod(shape) for shape in tensor_shapes(checkpoint.config).values())


def folder_bytes(path: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def model_document(made: CompressedModel, output: Path) -> dict[str, Any]:
    """Return a compressed model's geometry, recipe, size and origin as plain values."""
    model, recipe, origin = made.model, made.recipe, made.provenance
    config = model.config
    weights = sum(rows * inputs for rows, inputs in matrix_shapes(config).values())
    return {
        "name": config.name,
        "architecture": config.architecture,
        "geometry": {
            name: getattr(config, name)
            for name in ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "max_positions")
        },
        "weights": weights,
        "recipe": recipe.to_document() | {"name": recipe.name},
        "formats": collections.Counter(matrix.format.name.lower() for matrix in model.matrices.values()),
        "attention": str(model.pattern),
        "cache": model.cache.name.lower(),
        "bytes": folder_bytes(output),
        "fingerprint": model.fingerprint,
        "source": origin.source,
        "source_digest": origin.source_digest,
        "calibration_digest": origin.calibration_digest,
        "training": None if origin.training is None else dict(origin.training),
        "versions": dict(origin.versions),
    }
