"""`lamforge validate`: sets estimates beside published figures."""

from enum import StrEnum
from typing import Annotated

import typer

from lamforge.console import JsonOption, OutputOption, emit

__all__ = ["Subject", "validate"]


class Subject(StrEnum):
    """What can be validated."""

    energy = "energy"


def validate(
    what: Annotated[Subject, typer.Argument(help="Which estimate.")] = Subject.energy,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Set an estimate beside what published systems state: ours, theirs, and the error of each.

    The constants are the same for every row and none is fitted; which numbers are assumed is said.

    Examples:

        lamforge validate energy

        lamforge validate energy --json
    """
    from reports.energy import validate_energy
    from reports.energy_text import validation_text

    document = validate_energy().document()
    emit(validation_text(document), document, as_json=as_json, output=output)
