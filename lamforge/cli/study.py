"""`lamforge study`: asks questions of the whole whose answers stand in the documentation."""

from typing import Annotated

from typer import Option, Typer

from lamforge.cli import options
from lamforge.cli.console import Answer, Terminal, answer, subcommand
from reports.documents.plain import plain

__all__ = ["app"]

app = Typer(name="study", help="Measure the parts of Lamforge, and make the tables of its documentation again.")


@subcommand(app)
def bench(
    model: Annotated[
        str | None, Option(metavar="FOLDER", help="Compressed model.", show_default="the shipped one, rounded to nearest")
    ] = None,
    engine: options.Engine = "small",
    network: Annotated[
        str, Option(metavar="NAME", help="Network compiled at full size; an empty name leaves it out.")
    ] = "llama-2-7b",
) -> Answer:
    """Measure how fast the parts are: the simulator beside Verilator on one program, compiler, compression, packing, text.

    Compiling at full size takes 4 GB of disk for a while.

    Example:

        lamforge study bench --json -o build/bench.json
    """
    from lamforge.flow.engines import chosen_engine
    from reports.documents.studies import bench_document
    from reports.studies.bench import measure
    from reports.text.studies import bench_text

    with Terminal() as listener:
        found = measure(model, chosen_engine(engine), network or None, listener.say)
    return answer(found, bench_text, bench_document)


@subcommand(app)
def locality() -> Answer:
    """Measure on SmolLM2-135M how the tokens and channels that sparse attention picks lie together.

    Example:

        lamforge study locality --json
    """
    from reports.studies.locality import study
    from reports.text.studies import locality_text

    return answer(study(), locality_text, plain)


@subcommand(app)
def flash() -> Answer:
    """Move through its range what InstAttention does not publish of its flash: the tables of docs/flash.md.

    Example:

        lamforge study flash
    """
    from reports.studies.validation.flash import study
    from reports.text.studies import flash_text

    return answer(study(), flash_text, plain)
