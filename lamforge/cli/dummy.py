"""`lamforge dummy`: writes a compressed model of a well-known network with random weights."""

from typing import Annotated

from typer import Argument, Option

from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from reports.documents.plain import plain
from reports.text.values import values_text

__all__ = ["dummy"]


def dummy(
    network: Annotated[str, Argument(metavar="NETWORK", help="Network by name, such as llama-2-7b.", show_default=False)],
    output: options.Folder,
    format: Annotated[str, Option(help="Weight format of the layers: w2, w2s, w4 or w8.")] = "w2s",
    head: Annotated[str, Option(help="Weight format of the head.")] = "w4",
    attention: Annotated[str, Option(metavar="PATTERN", help="Attention pattern.")] = "lambda:4+2044",
    seed: Annotated[int, Option(help="Seed of the weights.")] = 0,
) -> Answer:
    """Write a compressed model of a well-known network with random weights, for what needs a size but no answers.

    It needs as much disk as the model has bytes, and memory for one of its files.

    Example:

        lamforge dummy llama-2-7b -o build/llama
    """
    from lamforge.flow.dummy import DummyRequest, run

    request = DummyRequest(network, output=output, format=format, head=head, attention=attention, seed=seed)
    return answer(heard(run, request), values_text, plain)
