"""`lamforge offload`: what published systems and devices do with a workload that does not fit, or fits elsewhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, emit

__all__ = ["Action", "offload"]


class Action(StrEnum):
    """What can be asked."""

    run = "run"
    compare = "compare"
    search = "search"
    list = "list"


def offload(
    action: Annotated[Action, typer.Argument(help="run, compare, search or list.", show_default=False)],
    systems: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYSTEM[:FORMAT[:WINDOW]]...", help="Systems; `list` shows those there are.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="Network by name, or its config.json.")] = "llama-2-7b",
    prompt: Annotated[
        int | None,
        typer.Option(help="Tokens of a sequence before the first generated one.", show_default="4096; of compare, 4K to 1M"),
    ] = None,
    generate: Annotated[int, typer.Option(help="Tokens generated for each sequence.")] = 256,
    batch: Annotated[
        int | None, typer.Option(help="Sequences at once.", show_default="1; of compare, the best up to 256")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a value: drives=2, weights.gpu=50.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of compare: an SVG of token/s over contexts.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Estimate what a system does with a workload: times by cause, bytes by link, room, energy, cost and what binds.

    run answers for one system, compare sets systems beside one another, from 4K to 1M tokens of prompt or at one, and says where
    they change places, search finds the best placement of a system that splits tensors over GPU, host and drive, and list shows
    systems, formats and networks. FORMAT is fp16 if none is named, WINDOW the tokens that Λ attention keeps.

    Examples:

        lamforge offload run instinfer-sparf --model opt-13b --prompt 1024 --generate 1024 --batch 64 --set csds=2

        lamforge offload compare gpu-a100 shadowkv-a100 fpga-u280:w2a8kv4:2048 --model llama-2-7b --plot crossover.svg

        lamforge offload compare --model llama-2-13b --prompt 32768 --batch 4

        lamforge offload search flexgen-t4 --model opt-30b --prompt 512 --generate 32
    """
    from lamforge.flow.offload.commands import compare_command, list_command, run_command, search_command

    asked, changes = systems or [], settings or []
    if action is Action.list:
        result = list_command()
    elif action is Action.run:
        result = run_command(asked, model, prompt=prompt, generated=generate, batch=batch, settings=changes)
    elif action is Action.search:
        result = search_command(asked, model, prompt=prompt, generated=generate, batch=batch, settings=changes)
    else:
        result = compare_command(asked, model, prompt=prompt, generated=generate, batch=batch, settings=changes, plot=plot)
    emit(result.text, result.document, as_json=as_json, output=output)
