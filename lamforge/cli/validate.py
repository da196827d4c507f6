"""`lamforge validate`: sets estimates beside published figures."""

import typer

from lamforge.cli.console import Answer, Terminal, answer, subcommand

__all__ = ["app", "energy", "offload"]

app = typer.Typer(
    name="validate", no_args_is_help=True, help="Set an estimate beside what publications state: ours, theirs, and every error."
)


@subcommand(app)
def energy() -> Answer:
    """Set the energy estimate beside the power that published systems state.

    The constants are the same for every row, and none is fitted; the table says which are assumed.

    Examples:

        lamforge validate energy
    """
    from reports.documents.validation import energy_validation_document
    from reports.studies import validation
    from reports.text.validation import energy_validation_text

    return answer(validation.energy(), energy_validation_text, energy_validation_document)


@subcommand(app)
def offload() -> Answer:
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
    return answer(found, offload_validation_text, offload_validation_document)
