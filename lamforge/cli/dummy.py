"""`lamforge dummy`: writes a compressed model of a well-known network with random weights."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, show
from lamforge.cli.options import FolderOption
from lamforge.cli.terminal import Terminal

__all__ = ["dummy"]


def dummy(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="Network by name, such as llama-2-7b.", show_default=False)],
    output: FolderOption,
    format: Annotated[str, typer.Option(help="Weight format of the layers: w2, w2s, w4 or w8.")] = "w2s",
    head: Annotated[str, typer.Option(help="Weight format of the head.")] = "w4",
    attention: Annotated[str, typer.Option(metavar="PATTERN", help="Attention pattern.")] = "lambda:4+2044",
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a compressed model of a well-known network with random weights, for what needs a size but no answers.

    It needs as much disk as the model has bytes, and memory for one of its files.

    Example:

        lamforge dummy llama-2-7b -o build/llama
    """
    from lamforge.flow.dummy import DummyRequest, run
    from reports.documents.plain import plain
    from reports.text.values import values_text

    request = DummyRequest(network, output=output, format=format, head=head, attention=attention, seed=seed)
    with Terminal() as listener:
        found = run(request, listener)
    show(found, values_text, plain, as_json=as_json)
