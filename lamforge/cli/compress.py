"""`lamforge compress`: turns a checkpoint into a model of integers."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from lamforge.cli.options import names_of

__all__ = ["compress"]


def compress(
    checkpoint: Annotated[
        str,
        Argument(
            metavar="CHECKPOINT",
            help="Shipped name (smollm2-135m), Hugging Face folder or GGUF file.",
            autocompletion=names_of("models"),
        ),
    ],
    output: options.Folder,
    recipe: Annotated[
        str, Option(metavar="NAME|FILE", help="Shipped recipe or a YAML file.", autocompletion=names_of("recipes"))
    ] = "w4a8kv4",
    calibration: Annotated[Path | None, Option(metavar="FILE", help="Text to calibrate on instead of the shipped one.")] = None,
    tokenizer: options.Tokenizer = None,
) -> Answer:
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
    from lamforge.flow.compress import CompressRequest, run
    from reports.documents.model import compression_document
    from reports.text.model import compression_text

    return answer(
        heard(run, CompressRequest(checkpoint, output=output, recipe=recipe, calibration=calibration, tokenizer=tokenizer)),
        compression_text,
        compression_document,
    )
