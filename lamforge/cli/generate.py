"""`lamforge generate`: continues a text or answers a question with the engine's integers."""

import sys
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, emit, status
from lamforge.cli.options import ModelArgument

__all__ = ["generate"]


def generate(
    model: ModelArgument,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to answer.", show_default=False)],
    max_tokens: Annotated[int, typer.Option(help="Most tokens to write.")] = 64,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token; above, tokens are drawn.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    is_raw: Annotated[
        bool, typer.Option("--raw", help="Continue the prompt itself, without the chat template.")
    ] = False,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Answer a prompt, streaming text, computed with exactly the integers that the engine computes.

    Examples:

        lamforge generate build/model "Why is the sky blue?"

        lamforge generate build/model "Once upon a time" --raw --temperature 0.8 --seed 3 --max-tokens 100
    """
    from lamforge.flow.generate import reply
    from lamforge.flow.sources import open_compressed
    from models.generate import Sampling
    from reports.text.tables import reply_text

    sampling = Sampling(temperature=temperature, seed=seed)
    is_streaming = not as_json and output is None

    def say(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    answer = reply(
        open_compressed(model),
        prompt,
        max_tokens=max_tokens,
        sampling=sampling,
        is_raw=is_raw,
        say=say if is_streaming else None,
    )
    document = answer.document()
    if is_streaming:
        say("\n")
    else:
        emit(answer.text, document, as_json=as_json, output=output)
    status(reply_text(document))
