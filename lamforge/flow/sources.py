"""What a verb's model may be: a shipped name, a checkpoint on disk, the folder of a compressed model, or one that is open."""

import dataclasses
from pathlib import Path
from typing import Protocol

from hwsim.errors import CheckpointError, LamforgeError, shown
from models.checkpoint import Checkpoint, load, shipped
from models.checkpoint.huggingface import tokenizer_in
from models.compressed import CompressedModel
from models.compressed import load as load_compressed

__all__ = ["ModelSource", "is_compressed", "open_checkpoint", "open_compressed", "source_checkpoint"]

_DESCRIPTION = "model.json"


class Made(Protocol):
    """A result with a compressed model in it, as compress returns it."""

    @property
    def made(self) -> CompressedModel:
        """The model."""


ModelSource = str | Path | CompressedModel | Made
"""A shipped name, the path of a checkpoint or of a compressed model's folder, a compressed model, or what compress returned."""


def is_compressed(source: ModelSource) -> bool:
    """Return whether `source` is a compressed model or the folder of one."""
    return not isinstance(source, str | Path) or (Path(source) / _DESCRIPTION).is_file()


def open_checkpoint(source: ModelSource | Checkpoint, *, tokenizer: str | Path | None = None) -> Checkpoint:
    """Return the float checkpoint with a shipped name or at a path; raise CheckpointError.

    tokenizer: folder of the tokenizer that it gets in place of its own.
    """
    if isinstance(source, Checkpoint):
        checkpoint = source
    elif not isinstance(source, str | Path) or is_compressed(source):
        raise CheckpointError(f"Checkpoint must be a model that was not compressed before, not {shown(str(source))}")
    else:
        checkpoint = load(source)
    return checkpoint if tokenizer is None else dataclasses.replace(checkpoint, tokenizer=tokenizer_in(Path(tokenizer)))


def open_compressed(source: ModelSource) -> CompressedModel:
    """Return the compressed model in a folder; raise CheckpointError, with the verb that makes one."""
    if not isinstance(source, str | Path):
        made = source if isinstance(source, CompressedModel) else getattr(source, "made", None)
        if not isinstance(made, CompressedModel):
            raise CheckpointError(f"Model must be a compressed model, its folder or what `compress` returned, not {shown(source)}")
        return made
    if not is_compressed(source):
        raise CheckpointError(f"Model must be a folder that `compress` wrote, not {shown(str(source))}")
    return load_compressed(Path(source))


def source_checkpoint(compressed: CompressedModel, source: str | Path | None = None) -> Checkpoint:
    """Return the float checkpoint a model was compressed from; raise CheckpointError where there is none, or another one.

    source: where it lies; None looks among the shipped ones.
    """
    origin = compressed.provenance
    if source is not None:
        checkpoint = open_checkpoint(source)
        if checkpoint.digest != origin.source_digest:
            raise CheckpointError(
                f"Source must be the checkpoint with digest {origin.source_digest[:12]},"
                f" not {shown(str(source))} with {checkpoint.digest[:12]}"
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
        f"Source {origin.source} (digest {origin.source_digest[:12]}) must be named to compare with the float model"
    )
