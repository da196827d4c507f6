"""`lamforge generate`: continues a text or answers a question with the engine's integers."""

import sys
from typing import Annotated

from typer import Argument, Option

from lamforge.cli import options
from lamforge.cli.console import JsonOption, OutputOption, Terminal, answer

__all__ = ["generate"]


class _Printed(Terminal):
    """Writes the answer to standard output as it comes."""

    def stream(self, piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()


class _Quiet(Terminal):
    """Keeps the answer for the end."""

    def stream(self, piece: str) -> None:
        pass


def generate(
    model: options.Model,
    prompt: Annotated[str, Argument(metavar="TEXT", help="What to answer.", show_default=False)],
    max_tokens: Annotated[int, Option(help="Most tokens to write.")] = 64,
    temperature: Annotated[float, Option(help="0 takes the likeliest token; above, tokens are drawn.")] = 0.0,
    seed: Annotated[int, Option(help="Seed of the draws.")] = 0,
    is_raw: options.Raw = False,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Answer a text, streaming, computed with exactly the integers that the engine computes.

    Examples:

        lamforge generate build/model "Why is the sky blue?"

        lamforge generate build/model "Once upon a time" --raw --temperature 0.8 --seed 3 --max-tokens 100
    """
    from lamforge.flow.generate import GenerateRequest, run
    from reports.documents.model import reply_document
    from reports.text.model import speed_text

    is_streaming = not as_json and output is None
    request = GenerateRequest(model, prompt, max_tokens=max_tokens, temperature=temperature, seed=seed, is_raw=is_raw)
    with _Printed() if is_streaming else _Quiet() as listener:
        reply = run(request, listener)
        if is_streaming:
            sys.stdout.write("\n")
        else:
            answer(reply, lambda reply: reply.text, reply_document).show(as_json=as_json, output=output, verb="generate")
        listener.say(speed_text(reply))
