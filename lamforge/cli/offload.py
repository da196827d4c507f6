"""`lamforge offload`: what published systems and devices do with a workload that does not fit, or fits elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.completion import names_of
from lamforge.cli.console import JsonOption, OutputOption, emit, show
from lamforge.cli.options import settings_of

__all__ = ["app", "compare", "list_command", "run", "search"]

app = typer.Typer(
    name="offload",
    no_args_is_help=True,
    help="Estimate what GPUs, offloading systems and the FPGA do with a workload, one or beside one another.",
)

SystemArgument = Annotated[
    str,
    typer.Argument(
        metavar="SYSTEM[:FORMAT[:WINDOW]]",
        help="System; `list` shows those there are.",
        show_default=False,
        autocompletion=names_of("systems"),
    ),
]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="NAME|FILE", help="Network by name, or its config.json.", autocompletion=names_of("networks")),
]
PromptOption = Annotated[int, typer.Option("--prompt", help="Tokens of a sequence before the first generated one.")]
GenerateOption = Annotated[int, typer.Option("--generate", help="Tokens generated for each sequence.")]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value: drives=2, weights.gpu=50.", show_default=False),
]


@app.command()
def run(
    system: SystemArgument,
    model: ModelOption = "llama-2-7b",
    prompt: PromptOption = 4096,
    generate: GenerateOption = 256,
    batch: Annotated[int, typer.Option(help="Sequences at once.")] = 1,
    settings: ChangesOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Estimate what one system does with a workload: times by cause, bytes by link, memory, energy, cost and what binds.

    FORMAT is fp16 if none is named, WINDOW the tokens that Λ attention keeps. Where the workload does not fit, the answer says in
    which memory and by how much; times are given either way.

    Examples:

        lamforge offload run instinfer-sparf --model opt-13b --prompt 1024 --generate 1024 --batch 64 --set csds=2

        lamforge offload run fpga-u280:w2a8kv4:2048 --prompt 8192
    """
    from lamforge.flow import offload
    from reports.documents.offload import estimate_document
    from reports.text.offload import estimate_text

    changes = settings_of(settings, "csds=2")
    found = offload.run(system, model=model, prompt=prompt, generate=generate, batch=batch, settings=changes)
    show(found, estimate_text, estimate_document, as_json=as_json, output=output)


@app.command()
def compare(
    systems: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SYSTEM[:FORMAT[:WINDOW]]...",
            help="Systems; none takes sixteen.",
            show_default=False,
            autocompletion=names_of("systems"),
        ),
    ] = None,
    model: ModelOption = "llama-2-7b",
    prompt: Annotated[
        int | None, typer.Option(help="Tokens of the prompt at which to look closely.", show_default="4K to 1M")
    ] = None,
    generate: GenerateOption = 256,
    batch: Annotated[int | None, typer.Option(help="Sequences at once.", show_default="the best up to 256")] = None,
    settings: ChangesOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an SVG of token/s over contexts.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Set systems beside one another, from 4K to 1M tokens of prompt or at one, and say where they change places.

    Examples:

        lamforge offload compare gpu-a100 shadowkv-a100 fpga-u280:w2a8kv4:2048 --model llama-2-7b --plot crossover.svg

        lamforge offload compare --model llama-2-13b --prompt 32768 --batch 4
    """
    from lamforge.flow import offload
    from reports.documents.offload import comparison_document
    from reports.pictures.offload import contexts_picture
    from reports.text.offload import comparison_text

    changes = settings_of(settings, "csds=2")
    found = offload.compare(systems or (), model=model, prompt=prompt, generate=generate, batch=batch, settings=changes)
    if plot is not None:
        emit(contexts_picture(found, "token_per_s", is_alone=True), plot)
    show(found, comparison_text, comparison_document, as_json=as_json, output=output)


@app.command()
def search(
    system: SystemArgument,
    model: ModelOption = "llama-2-7b",
    prompt: PromptOption = 4096,
    generate: GenerateOption = 256,
    settings: ChangesOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Find the best placement of a system that splits tensors over GPU, host and drive, and the best batches.

    Examples:

        lamforge offload search flexgen-t4 --model opt-30b --prompt 512 --generate 32
    """
    from lamforge.flow import offload
    from reports.documents.offload import placement_document
    from reports.text.offload import placement_text

    found = offload.search(system, model=model, prompt=prompt, generate=generate, settings=settings_of(settings, "weights.gpu=50"))
    show(found, placement_text, placement_document, as_json=as_json, output=output)


@app.command("list")
def list_command(as_json: JsonOption = False, output: OutputOption = None) -> None:
    """List the systems, formats and networks there are.

    Examples:

        lamforge offload list
    """
    from lamforge.flow import offload
    from reports.documents.offload import listing_document
    from reports.text.offload import listing_text

    show(offload.list(), listing_text, listing_document, as_json=as_json, output=output)
