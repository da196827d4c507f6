"""`lamforge study`: asks questions of the whole whose answers stand in the documentation."""

import dataclasses
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from lamforge.cli import options
from lamforge.cli.console import Answer, Terminal, answer, heard, subcommand
from lamforge.cli.options import names_of
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


@subcommand(app)
def accuracy(
    study: Annotated[
        str,
        Argument(
            metavar="STUDY",
            help="A study that names a table of accuracies.",
            show_default=False,
            autocompletion=names_of("studies"),
        ),
    ],
    models: Annotated[
        Path, Option(metavar="FOLDER", help="Where compressed models of the table lie; those that are missing are made there.")
    ] = Path("build/models"),
    table: Annotated[
        Path | None,
        Option(metavar="FILE", help="Table to write; one that is there is gone on with.", show_default="that of the study"),
    ] = None,
) -> Answer:
    """Measure the perplexities and pass keys that a study asks for and its table does not have.

    The table is written anew after each row, so that a measurement that was stopped goes on where it was.

    Examples:

        lamforge study accuracy window --table build/accuracies.yaml

        lamforge study accuracy mine.yaml
    """
    from lamforge.explore.measuring import MeasureRequest, run
    from reports.documents.studies import measured_document
    from reports.text.studies import measured_text

    return answer(heard(run, MeasureRequest(study, folder=models, table=table)), measured_text, measured_document)


@subcommand(app)
def window(
    pages: Annotated[
        Path | None, Option(metavar="FOLDER", help="Also write window.md and window.csv into a folder: docs/studies.")
    ] = None,
) -> Answer:
    """Ask how small a cache of sinks and recent tokens may be: the study `window`, every point simulated.

    Example:

        lamforge study window --pages docs/studies
    """
    from reports.documents.studies import window_document
    from reports.studies.window import study, write_pages
    from reports.text.studies import window_text

    with Terminal() as listener:
        found = study(listener)
        if pages is not None:
            write_pages(found, pages)
    return answer(found, window_text, window_document)


@subcommand(app)
def resources(
    output: Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Gets parts.csv, engines.csv and origin.json.")] = Path(
        "build/resources"
    ),
    engines: Annotated[
        int, Option(metavar="COUNT", help="Engines that are drawn; half is kept apart to say how far off the model is.")
    ] = 84,
    seed: Annotated[int, Option(help="Of the draw.")] = 0,
    workers: Annotated[int | None, Option(metavar="COUNT", help="Processes of this machine.", show_default="one a core")] = None,
) -> Answer:
    """Make the runs of Yosys again that the model of resources is made of, after the circuit has changed.

    An engine takes 130 to 450 seconds of one core, a slice 30, so that all takes about 9 hours of two cores. A run that was stopped
    goes on where it was. `--output lamforge/flow/resources` puts it in the place of the runs that ship.

    Examples:

        lamforge study resources --workers 2

        lamforge study resources --output lamforge/flow/resources
    """
    from reports.documents.studies import resources_document
    from reports.studies.resources import ResourcesRequest, run
    from reports.text.studies import resources_text

    request = ResourcesRequest(output=output, engines=engines, seed=seed)
    if workers is not None:
        request = dataclasses.replace(request, workers=workers)
    return answer(heard(run, request), resources_text, resources_document)
