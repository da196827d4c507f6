"""Knows what a MODEL on the command line may be: a shipped name, a checkpoint on disk, or a compressed model."""

from __future__ import annotations

from pathlib import Path

from hwsim.errors import CheckpointError, LamforgeError, shown
from models.checkpoint import Checkpoint, load, shipped
from models.compressed import CompressedModel
from models.compressed import load as load_compressed

__all__ = ["is_compressed", "open_checkpoint", "open_compressed", "source_checkpoint"]

_DESCRIPTION = "model.json"


def is_compressed(source: str) -> bool:
    """Return whether `source` is the folder of a compressed model."""
    return (Path(source) / _DESCRIPTION).is_file()


def open_checkpoint(source: str) -> Checkpoint:
    """Return the float checkpoint at `source`; raise CheckpointError."""
    if is_compressed(source):
        raise CheckpointError(f"Checkpoint must be a model that was not compressed before, not {shown(source)}")
    return load(source)


def open_compressed(source: str) -> CompressedModel:
    """Return the compressed model at `source`; raise CheckpointError, with the command that makes one."""
    if not is_compressed(source):
        raise CheckpointError(f"Model must be a folder that `lamforge compress CHECKPOINT -o FOLDER` wrote, not {shown(source)}")
    return load_compressed(Path(source))


def source_checkpoint(compressed: CompressedModel, source: str | None = None) -> Checkpoint:
    """Return the float checkpoint a model was compressed from.

    source: where it lies; None looks among the shipped ones.

    Raises:
        CheckpointError: it is not there, or what is there is another one.
    """
    origin = compressed.provenance
    if source is not None:
        checkpoint = open_checkpoint(source)
        if checkpoint.digest != origin.source_digest:
            raise CheckpointError(
                f"Source must be the checkpoint with digest {origin.source_digest[:12]},"
                f" not {shown(source)} with {checkpoint.digest[:12]}"
            )
        return checkpoint
    for name in shipped.NAMES:
        try:
            checkpoint = load(name)
        except LamforgeError:
            continue
        if checkpoint.digest == origin.source_digest:
            return checkpoint
    raise CheckpointError(
        f"Source {origin.source} (digest {origin.source_digest[:12]}) must be given with --source to compare with the float model"
    )
