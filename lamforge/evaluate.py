"""`lamforge evaluate`: measures how well a model predicts a text."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.bars import named_bars
from lamforge.console import JsonOption, OutputOption, emit

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Compressed model, or a checkpoint as for compress.")],
    text: Annotated[Path, typer.Option("--text", metavar="FILE", help="Text to predict.", show_default=False)],
    window: Annotated[int, typer.Option(help="Tokens of a window; each starts from an empty context.")] = 1024,
    windows: Annotated[
        int | None, typer.Option(help="Windows, evenly spaced over the text.", show_default="all")
    ] = None,
    attention: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Pattern of a float model, such as lambda:4+252.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help="What a compressed model was made from, if it is not shipped."),
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Measure perplexity on a text: of a compressed model in the engine's integers, beside its float model.

    The float model runs under the same attention pattern, so that the ratio is what the integers cost.

    Examples:

        lamforge evaluate build/model --text some.txt --windows 8

        lamforge evaluate smollm2-135m --text some.txt --attention lambda:4+252 --json
    """
    from reports.accuracy import Text
    from reports.accuracy import evaluate as evaluate_model
    from reports.tables import accuracy_text

    content = Text.read(text, window=window, windows=windows)
    with named_bars() as done:
        accuracy = evaluate_model(model, content, attention=attention, float_source=source, progress=done)
    document = accuracy.document()
    emit(accuracy_text(document), document, as_json=as_json, output=output)
