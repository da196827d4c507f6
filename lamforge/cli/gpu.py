"""`lamforge gpu`: measures a GPU, and fits the rates of a GPU to measurements."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, emit, show

__all__ = ["app"]

app = typer.Typer(help="Measure a GPU, and fit the rates of `lamforge offload` to what was measured.")


@app.command()
def measure(
    output: Annotated[Path, typer.Option("--output", "-o", help="Write the measurements to this JSON file.", show_default=False)],
    device: Annotated[str, typer.Option(help="cuda, or cpu to try the measurement itself.")] = "cuda",
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings that differ from those shipped, a JSON file.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting: repeats=5.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what the GPU that is there takes for each operator, and for whole steps of networks.

    It takes a minute and a quarter on an H200. Where there is only PyTorch, `python -m lamforge.bare gpu.measure` does the same and
    prints the file.

    Example:

        lamforge gpu measure -o build/mine.json
    """
    import json

    from lamforge.bare import Stamped, settings_of
    from reports.documents.plain import plain
    from reports.studies.gpu_baseline.measure import MeasureRequest, run
    from reports.text.validation import baseline_text

    found = run(MeasureRequest(settings=settings_of(changes or (), settings), device=device), Stamped())
    emit(json.dumps(plain(found), indent=1), output)
    show(found, baseline_text, plain, as_json=as_json)


@app.command()
def fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `gpu measure` wrote.", show_default=False)],
    gpu: Annotated[str, typer.Option(metavar="NAME|FILE", help="GPU whose datasheet the rates are shares of.")] = "h200",
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Fit the rates of a GPU to its measured operators, and print the error of every whole step, none of which is used.

    Example:

        lamforge gpu fit build/mine.json --gpu h200
    """
    from reports.documents.validation import fit_document
    from reports.studies import gpu_rates
    from reports.text.validation import fit_text

    show(gpu_rates.fit(file, gpu=gpu), fit_text, fit_document, as_json=as_json, output=output)
