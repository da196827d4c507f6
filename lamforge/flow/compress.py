"""A checkpoint becomes a compressed model in a folder."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

from lamforge.flow.sources import open_checkpoint
from lamforge.flow.verb import SILENT, Listener, verb
from models import compressed
from models.checkpoint import Checkpoint
from models.checkpoint.layout import tensor_shapes
from models.compress import Recipe
from models.compressed import CompressedModel
from models.evaluation.losses import HalfLoss, Losses, sentences
from models.matrices import matrix_shapes
from models.recipes.file import calibrated_on, recipe_file

__all__ = ["CompressRequest", "Compression", "HalfLoss", "chosen_recipe", "compress", "folder_bytes", "parameters", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompressRequest:
    """A checkpoint to compress.

    Attributes:
        checkpoint: shipped name such as `smollm2-135m`, path of a Hugging Face folder or of a GGUF file, or one that is open.
        output: folder to write the model into. Finished layers wait beside it in `<output>.partial`: a compression that was
            killed goes on there.
        recipe: name of a shipped recipe, path of a YAML file, or a recipe.
        calibration: text file to calibrate on; None takes the recipe's own, or the shipped one.
        tokenizer: folder of the tokenizer that the model gets; None takes the checkpoint's own.
    """

    checkpoint: str | Path | Checkpoint = dataclasses.field(kw_only=False)
    output: str | Path
    recipe: str | Path | Recipe = "w4a8kv4"
    calibration: str | Path | None = None
    tokenizer: str | Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compression:
    """A compressed model and the folder it was saved in; `made` is the model that the other verbs take.

    Attributes:
        made: the model.
        folder: where it lies.
        halves: how far each half of a layer is off on a piece of the calibration text, and to what it loses more than is usual;
            none where the model was not compressed here.
    """

    made: CompressedModel = dataclasses.field(repr=False)
    folder: Path
    halves: tuple[HalfLoss, ...] = dataclasses.field(default=(), repr=False)

    @property
    def warnings(self) -> list[str]:
        """Sentences on halves that lose more than is usual for their formats: which, to what, and what in the recipe mends it."""
        return sentences(self.halves)

    @property
    def weights(self) -> int:
        """Number of weights of all matrices, before pruning."""
        return sum(rows * inputs for rows, inputs in matrix_shapes(self.made.model.config).values())

    @property
    def formats(self) -> Mapping[str, int]:
        """Number of matrices by the name of their format."""
        return collections.Counter(matrix.format.name.lower() for matrix in self.made.model.matrices.values())

    @property
    def bytes(self) -> int:
        """Bytes of the folder."""
        return folder_bytes(self.folder)


def run(request: CompressRequest, listener: Listener = SILENT) -> Compression:
    """Compress a checkpoint: integer weights on groups with small scales, 8-bit activations, 4- or 8-bit keys and values.

    Weights are calibrated on text, layer by layer, one layer in memory at a time. Each layer is then compared with the float
    model's on a piece of that text; where one loses more than is usual for its formats, the listener is told. The folder holds
    everything later verbs need, the tokenizer included; it is written whole or not at all. Equal requests give equal bits.

    Raises:
        CheckpointError: the checkpoint cannot be read, or its architecture is not one the engine runs.
        SpecError: the recipe does not suit the model, or the folder holds something else.
    """
    recipe = chosen_recipe(request.recipe, request.calibration)
    folder = Path(request.output)
    checkpoint = open_checkpoint(request.checkpoint, tokenizer=request.tokenizer)
    # Said before the work; what is calibrated refuses it.
    if checkpoint.tokenizer is None and not recipe.is_calibrated:
        listener.say(f"The model gets no tokenizer, so that it cannot be given texts: {checkpoint.no_tokenizer}")
    losses = Losses(checkpoint, recipe)
    made = compressed.make(
        checkpoint, recipe, folder, progress=lambda done, total: listener.progress("layers", done / total), watcher=losses
    )
    found = Compression(made=made, folder=folder, halves=tuple(losses.found))
    for sentence in found.warnings:
        listener.say(sentence)
    return found


compress = verb("compress", CompressRequest, run)


def chosen_recipe(recipe: str | Path | Recipe, calibration: str | Path | None = None) -> Recipe:
    """Return a recipe by name or YAML file, calibrated on the text in a file when one is given.

    SpecError when there is no such recipe or text, or the file is wrong.
    """
    text = None if calibration is None else Path(calibration)
    if isinstance(recipe, Recipe):
        return recipe if text is None else dataclasses.replace(recipe, calibration=calibrated_on(recipe.calibration, text))
    name = str(recipe)
    file = recipe_file(name, text)
    return Recipe.of(file, name=Path(name).stem if name.endswith((".yaml", ".yml")) else name)


def parameters(checkpoint: Checkpoint) -> int:
    """Return how many numbers a checkpoint holds."""
    return sum(math.prod(shape) for shape in tensor_shapes(checkpoint.config).values())


def folder_bytes(path: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
