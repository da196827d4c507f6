"""`lamforge offload`: what published systems and devices do with a workload that does not fit, or fits elsewhere."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from hwsim.plain import set_values
from lamforge.cli.console import Answer, answer, emit, subcommand
from lamforge.cli.options import names_of

__all__ = ["app", "compare", "list_command", "run", "search"]

app = Typer(
    name="offload",
    no_args_is_help=True,
    help="Estimate what GPUs, offloading systems and the FPGA do with a workload, one or beside one another.",
)

SystemArgument = Annotated[
    str,
    Argument(
        metavar="SYSTEM[:FORMAT[:WINDOW]]",
        help="System; `list` shows those there are.",
        show_default=False,
        autocompletion=names_of("systems"),
    ),
]
ModelOption = Annotated[
    str, Option("--model", metavar="NAME|FILE", help="Network by name, or its config.json.", autocompletion=names_of("networks"))
]
PromptOption = Annotated[int, Option("--prompt", help="Tokens of a sequence before the first generated one.")]
GenerateOption = Annotated[int, Option("--generate", help="Tokens generated for each sequence.")]
ChangesOption = Annotated[
    list[str] | None, Option("--set", metavar="PATH=VALUE", help="Change a value: drives=2, weights.gpu=50.", show_default=False)
]


@subcommand(app)
def run(
    system: SystemArgument,
    model: ModelOption = "llama-2-7b",
    prompt: PromptOption = 4096,
    generate: GenerateOption = 256,
    batch: Annotated[int, Option(help="Sequences at once.")] = 1,
    settings: ChangesOption = None,
) -> Answer:
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

    changes = set_values(settings or (), "csds=2")
    found = offload.run(system, model=model, prompt=prompt, generate=generate, batch=batch, settings=changes)
    return answer(found, estimate_text, estimate_document)


@subcommand(app)
def compare(
    systems: Annotated[
        list[str] | None,
        Argument(
            metavar="SYSTEM[:FORMAT[:WINDOW]]...",
            help="Systems; none takes sixteen.",
            show_default=False,
            autocompletion=names_of("systems"),
        ),
    ] = None,
    model: ModelOption = "llama-2-7b",
    prompt: Annotated[int | None, Option(help="Tokens of the prompt at which to look closely.", show_default="4K to 1M")] = None,
    generate: GenerateOption = 256,
    batch: Annotated[int | None, Option(help="Sequences at once.", show_default="the best up to 256")] = None,
    settings: ChangesOption = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="Write an SVG of token/s over contexts.", show_default=False)] = None,
) -> Answer:
    """Set systems beside one another, from 4K to 1M tokens of prompt or at one, and say where they change places.

    Examples:

        lamforge offload compare gpu-a100 shadowkv-a100 fpga-u280:w2a8kv4:2048 --model llama-2-7b --plot crossover.svg

        lamforge offload compare --model llama-2-13b --prompt 32768 --batch 4
    """
    from lamforge.flow import offload
    from reports.documents.offload import comparison_document
    from reports.pictures.offload import contexts_picture
    from reports.text.offload import comparison_text

    changes = set_values(settings or (), "csds=2")
    found = offload.compare(systems or (), model=model, prompt=prompt, generate=generate, batch=batch, settings=changes)
    if plot is not None:
        emit(contexts_picture(found, "token_per_s", is_alone=True), plot)
    return answer(found, comparison_text, comparison_document)


@subcommand(app)
def search(
    system: SystemArgument,
    model: ModelOption = "llama-2-7b",
    prompt: PromptOption = 4096,
    generate: GenerateOption = 256,
    settings: ChangesOption = None,
) -> Answer:
    """Find the best placement of a system that splits tensors over GPU, host and drive, and the best batches.

    Examples:

        lamforge offload search flexgen-t4 --model opt-30b --prompt 512 --generate 32
    """
    from lamforge.flow import offload
    from reports.documents.offload import placement_document
    from reports.text.offload import placement_text

    found = offload.search(
        system, model=model, prompt=prompt, generate=generate, settings=set_values(settings or (), "weights.gpu=50")
    )
    return answer(found, placement_text, placement_document)


@subcommand(app, "list")
def list_command() -> Answer:
    """List the systems, formats and networks there are.

    Examples:

        lamforge offload list
    """
    from lamforge.flow import offload
    from reports.documents.offload import listing_document
    from reports.text.offload import listing_text

    return answer(offload.list(), listing_text, listing_document)
