"""The last stage of a distillation: a training's result becomes a compressed model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamforge.flow.verb import SILENT, Listener, verb

if TYPE_CHECKING:
    from models.compressed import CompressedModel
    from models.distill.result import Scores

__all__ = ["DistilledModel", "ExportRequest", "export", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """A result to make a model of.

    Attributes:
        checkpoint: the teacher, a shipped name or a checkpoint on disk.
        result: folder of the result.
        output: folder to write the model into.
        tokenizer: folder of the tokenizer that the model gets; None takes the checkpoint's own.
    """

    checkpoint: str = dataclasses.field(kw_only=False)
    result: Path
    output: Path
    tokenizer: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DistilledModel:
    """A trained model in the engine's integers, its folder, and how well it predicted each evaluation text that was measured."""

    model: CompressedModel
    folder: Path
    perplexities: Mapping[str, Scores]


def run(request: ExportRequest, listener: Listener = SILENT) -> DistilledModel:
    """Write the compressed model of a training's result, with nothing rounded again on the way.

    Raises:
        CheckpointError: there is no such checkpoint.
        SpecError: the checkpoint is not the one that was the teacher, or the folder cannot be written.
    """
    # The stages that run on a training machine must be importable where these packages are missing.
    from lamforge.flow.sources import open_checkpoint
    from models import compressed
    from models.compress import Recipe
    from models.distill.result import read_result
    from models.matrices import HEAD

    checkpoint, result = open_checkpoint(request.checkpoint, tokenizer=request.tokenizer), read_result(request.result)
    settings = result.settings
    steps = [
        {"method": "distill", "format": settings.format, "result": str(request.result)},
        {"method": "rtn", "format": "w8", "at": HEAD},
    ]
    stated = {"steps": steps, "attention": f"lambda:{settings.sinks}+{settings.window}"}
    recipe = Recipe.from_document(stated, name=f"{settings.format}a8kv4-distilled")
    model = compressed.make(checkpoint, recipe, request.output)
    listener.say(f"step {result.steps} of {settings.steps} written to {request.output}")
    return DistilledModel(model=model, folder=request.output, perplexities=result.perplexities)


export = verb("distill.export", ExportRequest, run)
