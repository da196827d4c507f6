"""A compressed model as a Hugging Face folder of floats, for the tools of others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lamforge.flow.compress import folder_bytes
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.verb import SILENT, Listener, verb
from models import exported
from models.compressed import CompressedModel

__all__ = ["Export", "ExportRequest", "export", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """A compressed model to export.

    Attributes:
        model: folder of a compressed model, or one that is open.
        output: folder to write into.
        type: type of the weights: `float32` or `float16`.
    """

    model: ModelSource = dataclasses.field(kw_only=False)
    output: str | Path
    type: str = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """What was exported, where to, and the type of its weights."""

    made: CompressedModel
    folder: Path
    type: str

    @property
    def architecture(self) -> str:
        """Architecture that the folder's config.json names."""
        return str(exported.huggingface_config(self.made.model.config)["architectures"][0])

    @property
    def bytes(self) -> int:
        """Bytes of the folder."""
        return folder_bytes(self.folder)


def run(request: ExportRequest, listener: Listener = SILENT) -> Export:
    """Write the floats that a compressed model's weights stand for, in a folder that transformers and others load.

    Raises:
        CheckpointError: there is no compressed model.
        SpecError: the type is not known, or the folder holds something else.
    """
    made, folder = open_compressed(request.model), Path(request.output)
    exported.export(made, folder, type=request.type, progress=listener.part("layers"))
    scaling = made.model.config.rope_scaling
    if scaling.kind == "yarn" and not scaling.is_truncated:
        listener.say("The edges of YaRN's band are no whole features in this model; transformers before 4.55 rounds them")
    return Export(made=made, folder=folder, type=request.type)


export = verb("export", ExportRequest, run)
