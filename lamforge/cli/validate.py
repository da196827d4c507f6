"""`lamforge validate`: sets estimates beside published figures."""

from enum import StrEnum
from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, emit

__all__ = ["Subject", "validate"]


class Subject(StrEnum):
    """What can be validated."""

    energy = "energy"
    offload = "offload"


def validate(
    what: Annotated[Subject, typer.Argument(help="Which estimate.")] = Subject.energy,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Set an estimate beside what publications state: ours, theirs, and the error of each.

    The constants are the same for every row; which rows one is fitted to, and which numbers are assumed, is said.

    Examples:

        lamforge validate energy

        lamforge validate offload --json
    """
    if what is Subject.energy:
        from lamforge.flow.energy import validate_energy
        from reports.text.energy import validation_text

        document = validate_energy().document()
        text = validation_text(document)
    else:
        from reports.studies.validation.offload import offload_text, validate_offload

        document = validate_offload().document()
        text = offload_text(document)
    emit(text, document, as_json=as_json, output=output)
