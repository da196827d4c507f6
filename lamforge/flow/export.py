"""Knows how a compressed model is exported for the tools of others, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lamforge.flow.compress import folder_bytes
from lamforge.flow.sources import open_compressed
from models import exported

__all__ = ["export"]


def export(
    model: str, output: Path, *, type: str = "float32", progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Write the compressed model at a folder as a Hugging Face folder, and return what was written as plain values."""
    made = open_compressed(model)
    exported.export(made, output, type=type, progress=progress)
    config = exported.huggingface_config(made.model.config)
    return {
        "model": made.model.config.name,
        "folder": str(output),
        "architecture": config["architectures"][0],
        "type": type,
        "bytes": folder_bytes(output),
        "recipe": made.recipe.name,
        "attention": str(made.model.pattern),
        "cache": made.model.cache.name.lower(),
        "fingerprint": made.model.fingerprint,
    }
