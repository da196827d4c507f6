"""`lamforge gpu`: measures a GPU, and fits the rates of a GPU to measurements."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from lamforge.bare import Stamped, settings_of
from lamforge.cli.console import Answer, answer, emit, subcommand
from reports.documents.plain import plain

__all__ = ["app"]

app = Typer(name="gpu", help="Measure a GPU, and fit the rates of `lamforge offload` to what was measured.")


@subcommand(app)
def measure(
    output: Annotated[Path, Option("--output", "-o", help="Write the measurements to this JSON file.", show_default=False)],
    device: Annotated[str, Option(help="cuda, or cpu to try the measurement itself.")] = "cuda",
    settings: Annotated[
        Path | None, Option(metavar="FILE", help="Settings that differ from those shipped, a JSON file.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None, Option("--set", metavar="NAME=VALUE", help="Change a setting: repeats=5.", show_default=False)
    ] = None,
) -> Answer:
    """Measure what the GPU that is there takes for each operator, and for whole steps of networks.

    It takes a minute and a quarter on an H200. Where there is only PyTorch, `python -m lamforge.bare gpu.measure` does the same and
    prints the file.

    Example:

        lamforge gpu measure -o build/mine.json
    """
    from reports.studies.gpu_baseline.measure import MeasureRequest, run
    from reports.text.validation import baseline_text

    found = run(MeasureRequest(settings=settings_of(changes or (), settings), device=device), Stamped())
    emit(json.dumps(plain(found), indent=1), output)
    return answer(found, baseline_text, plain)


@subcommand(app)
def fit(
    file: Annotated[Path, Argument(metavar="FILE", help="What `gpu measure` wrote.", show_default=False)],
    gpu: Annotated[str, Option(metavar="NAME|FILE", help="GPU whose datasheet the rates are shares of.")] = "h200",
) -> Answer:
    """Fit the rates of a GPU to its measured operators, and print the error of every whole step, none of which is used.

    Example:

        lamforge gpu fit build/mine.json --gpu h200
    """
    from reports.documents.validation import fit_document
    from reports.studies import gpu_rates
    from reports.text.validation import fit_text

    return answer(gpu_rates.fit(file, gpu=gpu), fit_text, fit_document)
