"""The first stage of a distillation: teacher and texts become the parts that a training machine is given."""

from __future__ import annotations

import dataclasses
import lzma
from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import SpecError
from lamforge.flow.verb import SILENT, Listener, verb

__all__ = ["PREPARED", "WORK", "Preparation", "PrepareRequest", "prepare", "run"]

WORK = Path("build/distill")
"""Folder in which the stages find each other's files, when none is named."""
PREPARED = "prepared"
"""Below it: parts that `prepare` wrote."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareRequest:
    """A teacher and its texts; files with the suffix `.xz` are unpacked.

    Attributes:
        checkpoint: the teacher, a shipped name or a checkpoint on disk.
        texts: text files to train on, `public-domain` and `wikipedia`, by name.
        evaluations: text files to predict after the training, by names of your own.
        work: folder in which the stages find each other's files.
        tokenizer: folder of the tokenizer that the teacher gets; None takes its own.
    """

    checkpoint: str = dataclasses.field(kw_only=False)
    texts: Mapping[str, Path]
    evaluations: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    work: Path = WORK
    tokenizer: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a training machine is given: name of the teacher, files with their sizes in bytes, and the bytes of them all."""

    model: str
    parts: Mapping[Path, int]
    bytes: int


def run(request: PrepareRequest, listener: Listener = SILENT) -> Preparation:
    """Write the teacher, its tokens and the engine's head into parts small enough to carry.

    Raises:
        CheckpointError: there is no such teacher.
        SpecError: a text cannot be read or is missing, or the teacher is of a kind that cannot be distilled.
    """
    # The stages that run on a training machine must be importable where these packages are missing.
    from hwsim.arch.isa import Format
    from lamforge.flow.sources import open_checkpoint
    from models.compress import rtn
    from models.distill.prepare import float_head
    from models.distill.prepare import prepare as write_parts

    checkpoint = open_checkpoint(request.checkpoint, tokenizer=request.tokenizer)
    listener.say(f"{checkpoint.config.name} opened; tokens and integers follow")
    paths = write_parts(
        checkpoint,
        {name: _text(path) for name, path in request.texts.items()},
        {name: _text(path) for name, path in request.evaluations.items()},
        request.work / PREPARED,
        head=rtn.quantize(float_head(checkpoint), Format.W8),
    )
    sizes = {path: path.stat().st_size for path in paths}
    return Preparation(model=checkpoint.config.name, parts=sizes, bytes=sum(sizes.values()))


prepare = verb("distill.prepare", PrepareRequest, run)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8")
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise SpecError(f"Text {path.name} must be a readable UTF-8 file, but: {error}") from None
