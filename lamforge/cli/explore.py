"""`lamforge explore`: looks at the designs of a study, and finds the best."""

from typing import Annotated, Literal

from typer import Argument, Option

from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from lamforge.cli.options import names_of

__all__ = ["explore"]


def explore(
    study: Annotated[
        str,
        Argument(
            metavar="STUDY",
            help="A YAML file, or a study that ships (`lamforge list studies`).",
            show_default=False,
            autocompletion=names_of("studies"),
        ),
    ],
    output: options.Folder,
    workers: Annotated[int, Option(help="Processes of this machine that simulate.")] = 1,
    scheduler: Annotated[
        str | None, Option(metavar="ADDRESS", help="Dask scheduler whose workers simulate instead.", show_default="this machine")
    ] = None,
    synth: Annotated[
        Literal["model", "exact"], Option(help="Resources by the fitted model, or with the front's circuits also synthesized.")
    ] = "model",
) -> Answer:
    """Look at every design of a study by a closed form, simulate those that are left to the cycle, and find the best.

    Studies of placements are estimated, and say which leads where. The folder gets parts/ (Parquet, one row a point and
    fidelity), points.csv and front.csv. A study that was stopped, in whatever way, goes on where it was when it is called again.

    Examples:

        lamforge explore u280 -o build/u280

        lamforge explore placement -o build/placement

        lamforge explore mine.yaml -o build/mine --workers 2

        lamforge explore mine.yaml -o build/mine --synth exact

        lamforge explore mine.yaml -o build/mine --scheduler tcp://10.0.0.1:8786 --json
    """
    from lamforge.explore.exploration import ExploreRequest, run
    from reports.documents.exploration import exploration_document
    from reports.text.exploration import exploration_text

    request = ExploreRequest(study, output=output, workers=workers, scheduler=scheduler, synth=synth)
    return answer(heard(run, request), exploration_text, exploration_document)
