"""`lamforge compress`: turns a checkpoint into a model of integers."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.bars import bar
from lamforge.console import JsonOption, emit
from lamforge.options import FolderOption

__all__ = ["compress"]


def compress(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="Shipped name (smollm2-135m), Hugging Face folder or GGUF file.")
    ],
    output: FolderOption,
    recipe: Annotated[str, typer.Option(metavar="NAME|FILE", help="Shipped recipe or a YAML file.")] = "w4a8kv4",
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text to calibrate on instead of the shipped one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compress a checkpoint: integer weights on groups with small scales, 8-bit activations, 4- or 8-bit keys and values.

    A recipe says which methods apply where: pruning to 2:4, 8-, 4- or 2-bit weights, smoothing, attention. Weights are
    calibrated on text, layer by layer, one layer in memory at a time. The result is a folder with everything later steps
    need, the tokenizer included; the same checkpoint, recipe and text give the same bits. Finished layers wait in
    OUTPUT.partial: a command that was killed goes on from there when it is given again.

    Examples:

        lamforge compress smollm2-135m -o build/model

        lamforge compress path/to/llama --recipe mine.yaml --calibration some.txt -o build/mine
    """
    from models.recipes import recipe_file

    # A wrong recipe is refused before PyTorch is loaded.
    recipe_file(recipe, calibration)
    # Subcommands load what they need when called: PyTorch alone takes seconds.
    from reports.compression import chosen_recipe, model_document
    from reports.compression import compress as compress_checkpoint
    from reports.sources import open_checkpoint
    from reports.tables import compression_text

    chosen = chosen_recipe(recipe, calibration)
    opened = open_checkpoint(checkpoint)
    with bar("layers") as done:
        made = compress_checkpoint(opened, chosen, output, done)
    document = model_document(made, output) | {"folder": str(output)}
    emit(compression_text(document), document, as_json=as_json)
