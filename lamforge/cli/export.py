"""`lamforge export`: writes a compressed model as a Hugging Face folder."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, show
from lamforge.cli.options import FolderOption, ModelArgument
from lamforge.cli.terminal import Terminal

__all__ = ["export"]


def export(
    model: ModelArgument,
    output: FolderOption,
    type: Annotated[str, typer.Option(help="Type of the weights: float32 or float16.")] = "float32",
    as_json: JsonOption = False,
) -> None:
    """Write a compressed model as floats in a folder that transformers and others load: what its weights stand for.

    The folder has config.json, safetensors and the tokenizer. Whoever loads it runs float activations and the attention
    of the architecture; 8-bit activations, the rounded cache and Λ are measured by `lamforge evaluate`.

    Example:

        lamforge export build/model -o build/model-hf
    """
    from lamforge.flow.export import ExportRequest, run
    from reports.documents.model import export_document
    from reports.text.model import export_text

    with Terminal() as listener:
        written = run(ExportRequest(model, output=output, type=type), listener)
    show(written, export_text, export_document, as_json=as_json)
