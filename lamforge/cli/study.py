"""`lamforge study`: asks questions of the whole whose answers stand in the documentation."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.options import EngineOption
from lamforge.cli.terminal import Terminal

__all__ = ["app"]

app = typer.Typer(help="Measure the parts of Lamforge, and make the tables of its documentation again.")


@app.command()
def bench(
    model: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Compressed model.", show_default="the shipped one, rounded to nearest")
    ] = None,
    engine: EngineOption = "small",
    network: Annotated[
        str, typer.Option(metavar="NAME", help="Network compiled at full size; an empty name leaves it out.")
    ] = "llama-2-7b",
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
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
    show(found, bench_text, bench_document, as_json=as_json, output=output)


@app.command()
def locality(as_json: JsonOption = False, output: OutputOption = None) -> None:
    """Measure on SmolLM2-135M how the tokens and channels that sparse attention picks lie together.

    Example:

        lamforge study locality --json
    """
    from reports.documents.plain import plain
    from reports.studies.locality import study
    from reports.text.studies import locality_text

    show(study(), locality_text, plain, as_json=as_json, output=output)


@app.command()
def flash(as_json: JsonOption = False, output: OutputOption = None) -> None:
    """Move through its range what InstAttention does not publish of its flash: the tables of docs/flash.md.

    Example:

        lamforge study flash
    """
    from reports.documents.plain import plain
    from reports.studies.validation.flash import study
    from reports.text.studies import flash_text

    show(study(), flash_text, plain, as_json=as_json, output=output)
