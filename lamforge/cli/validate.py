"""`lamforge validate`: sets estimates beside published figures."""

import typer

from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.terminal import Terminal

__all__ = ["app", "energy", "offload"]

app = typer.Typer(
    name="validate", no_args_is_help=True, help="Set an estimate beside what publications state: ours, theirs, and every error."
)


@app.command()
def energy(as_json: JsonOption = False, output: OutputOption = None) -> None:
    """Set the energy estimate beside the power that published systems state.

    The constants are the same for every row, and none is fitted; the table says which are assumed.

    Examples:

        lamforge validate energy
    """
    from reports.documents.validation import energy_validation_document
    from reports.studies import validation
    from reports.text.validation import energy_validation_text

    show(validation.energy(), energy_validation_text, energy_validation_document, as_json=as_json, output=output)


@app.command()
def offload(as_json: JsonOption = False, output: OutputOption = None) -> None:
    """Set the estimates of offloading beside every published figure.

    One set of constants serves all rows of a machine; each row says whether a constant was chosen with it in sight.

    Examples:

        lamforge validate offload --json
    """
    from reports.documents.validation import offload_validation_document
    from reports.studies import validation
    from reports.text.validation import offload_validation_text

    with Terminal() as listener:
        found = validation.offload(listener)
    show(found, offload_validation_text, offload_validation_document, as_json=as_json, output=output)
