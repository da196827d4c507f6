"""`lamforge evaluate`: measures how well a model predicts a text, what it retrieves, and where integers cost most."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hwsim.errors import SpecError, shown
from lamforge.cli import options
from lamforge.cli.console import Answer, Terminal, answer
from lamforge.cli.options import names_of

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, Argument(metavar="MODEL", help="Compressed model, or a checkpoint as for compress.")],
    text: Annotated[Path | None, Option("--text", metavar="FILE", help="Text to predict.", show_default="the shipped one")] = None,
    window: Annotated[int, Option(help="Tokens of a window; each starts from an empty context.")] = 1024,
    windows: Annotated[int | None, Option(help="Windows, evenly spaced over the text.", show_default="all")] = None,
    attention: Annotated[
        str | None,
        Option(metavar="PATTERN", help="Pattern of a float model, such as lambda:4+252.", autocompletion=names_of("patterns")),
    ] = None,
    source: Annotated[
        str | None, Option(metavar="CHECKPOINT", help="What a compressed model was made from, if it is not shipped.")
    ] = None,
    stream: Annotated[
        int | None, Option(metavar="TOKENS", help="Also read so many tokens as one text, and say how well by position.")
    ] = None,
    passkey: Annotated[
        str | None, Option(metavar="LENGTHS", help="Also hide pass keys in prompts of so many tokens: 200,900,1800.")
    ] = None,
    needles: Annotated[
        str | None, Option(metavar="LENGTHS", help="Also ask for one of several like facts, from package hard-needle.")
    ] = None,
    trials: Annotated[int, Option(help="Prompts of each length and depth.")] = 2,
    seed: Annotated[int, Option(help="Of the prompts.")] = 0,
    layers: Annotated[bool, Option("--layers", help="Also name the layers in which integers differ most from floats.")] = False,
    tokenizer: options.Tokenizer = None,
    html: Annotated[Path | None, Option(metavar="FILE", help="Also write a page with pictures, which opens from disk.")] = None,
) -> Answer:
    """Measure perplexity on a text: of the float model dense, under the same attention, and in the engine's integers.

    All on the same windows, with the interval of each paired difference: what the attention costs, and what the integers do.

    Examples:

        lamforge evaluate build/model --text some.txt --windows 8

        lamforge evaluate smollm2-135m --text some.txt --attention lambda:4+252 --json

        lamforge evaluate build/model --stream 8192 --passkey 200,900 --layers --html build/evaluation.html
    """
    from hwsim.whole_files import write_text
    from lamforge.flow.evaluate import EvaluateRequest, run
    from reports.documents.evaluation import evaluation_document
    from reports.pages.evaluation import evaluation_page
    from reports.text.evaluation import evaluation_text

    request = EvaluateRequest(
        model,
        text=text,
        window=window,
        windows=windows,
        attention=attention,
        source=source,
        stream=stream,
        passkey=_lengths(passkey),
        needles=_lengths(needles),
        trials=trials,
        seed=seed,
        has_layers=layers,
        tokenizer=tokenizer,
    )
    with Terminal() as listener:
        found = run(request, listener)
        if html is not None:
            write_text(html, evaluation_page(found))
            listener.say(f"Page: {html}")
    return answer(found, evaluation_text, evaluation_document)


def _lengths(text: str | None) -> tuple[int, ...]:
    """Return the lengths that `200,900` spells, none for None; raise SpecError where it spells something else."""
    parts = [] if text is None else text.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise SpecError(f"Lengths must be whole numbers between commas, such as 200,900, not {shown(text)}")
    return tuple(dict.fromkeys(int(part) for part in parts))
