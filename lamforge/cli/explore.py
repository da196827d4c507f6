"""`lamforge explore`: looks at the designs of a study, and finds the best."""

from typing import Annotated

import typer

from lamforge.cli.completion import names_of
from lamforge.cli.console import JsonOption, show
from lamforge.cli.options import FolderOption
from lamforge.cli.terminal import Terminal

__all__ = ["explore"]


def explore(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A YAML file, or a study that ships (`lamforge list studies`).",
            show_default=False,
            autocompletion=names_of("studies"),
        ),
    ],
    output: FolderOption,
    workers: Annotated[int, typer.Option(help="Processes of this machine that simulate.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers simulate instead.", show_default="this machine"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every design of a study by a closed form, simulate those that are left to the cycle, and find the best.

    The folder gets parts/ (Parquet, one row a point and fidelity), points.csv and front.csv. A study that was stopped, in
    whatever way, goes on where it was when it is called again.

    Examples:

        lamforge explore u280 -o build/u280

        lamforge explore mine.yaml -o build/mine --workers 2

        lamforge explore mine.yaml -o build/mine --scheduler tcp://10.0.0.1:8786 --json
    """
    from lamforge.explore.exploration import ExploreRequest, run
    from reports.documents.exploration import exploration_document
    from reports.text.exploration import exploration_text

    request = ExploreRequest(study, output=output, workers=workers, scheduler=scheduler)
    with Terminal() as listener:
        found = run(request, listener)
    show(found, exploration_text, exploration_document, as_json=as_json)
