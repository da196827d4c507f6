"""`lamforge export`: writes a compressed model as a Hugging Face folder."""

from typing import Annotated

from typer import Option

from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard

__all__ = ["export"]


def export(
    model: options.Model,
    output: options.Folder,
    type: Annotated[str, Option(help="Type of the weights: float32 or float16.")] = "float32",
) -> Answer:
    """Write a compressed model as floats in a folder that transformers and others load: what its weights stand for.

    The folder has config.json, safetensors and the tokenizer. Whoever loads it runs float activations and the attention
    of the architecture; 8-bit activations, the rounded cache and Λ are measured by `lamforge evaluate`.

    Example:

        lamforge export build/model -o build/model-hf
    """
    from lamforge.flow.export import ExportRequest, run
    from reports.documents.model import export_document
    from reports.text.model import export_text

    return answer(heard(run, ExportRequest(model, output=output, type=type)), export_text, export_document)
