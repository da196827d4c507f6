"""`lamforge compare`: says what changed between two results, two studies or two commits."""

from typing import Annotated

from typer import Argument, Option

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from lamforge.cli.console import Answer, answer, heard

__all__ = ["compare"]


def compare(
    a: Annotated[str, Argument(metavar="A", help="JSON of a verb, a folder of explore, or a commit.", show_default=False)],
    b: Annotated[str, Argument(metavar="B", help="The same to compare with it.", show_default=False)],
    command: Annotated[
        list[str] | None,
        Argument(metavar="[-- VERB ARGUMENTS...]", help="Command to run from the commits A and B.", show_default=False),
    ] = None,
    tolerance: Annotated[float, Option(metavar="SHARE", help="Relative difference up to which numbers are the same.")] = 0.0,
    exit_code: Annotated[bool, Option("--exit-code", help="Exit with 1 if a result changed, as git diff does.")] = False,
) -> Answer:
    """Say what changed between two results of a verb, two studies or two commits, sorted by effect.

    Times that the machine took, versions and places are told apart from results. From commits the command runs in the current
    folder, with the sources of each commit in a temporary folder; `.` stands for the sources as they are. What the command
    is told to write goes there too and is removed.

    Examples:

        lamforge compare before.json after.json

        lamforge compare build/u280 build/u280-new

        lamforge compare HEAD~5 . -- simulate --workload llama-2-7b --engine u280 --context 2048 --memory hbm2

        lamforge compare main HEAD --exit-code --tolerance 1e-9 -- validate offload
    """
    from lamforge.cli.commands import COMMANDS, GROUPS
    from reports.documents.comparison import comparison_document
    from reports.studies.compare import ComparisonRequest, run
    from reports.text.comparison import comparison_text

    if command and command[0] not in (*COMMANDS, *GROUPS):
        raise SpecError(f"Command must begin with {nearest(command[0], (*COMMANDS, *GROUPS))}, not {shown(command[0])}")
    found = heard(run, ComparisonRequest(a, b, command=command or (), tolerance=tolerance))
    return answer(found, comparison_text, comparison_document, is_right=not (exit_code and found.is_changed))
