"""`lamforge synth`: estimates what an engine takes of a board."""

from typing import Annotated

from typer import Option

from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from lamforge.cli.options import names_of

__all__ = ["synth"]


def synth(
    engine: options.Engine = "small",
    board: Annotated[
        str, Option(metavar="NAME|FILE", help="Shipped board (u280, u55c) or a YAML file.", autocompletion=names_of("boards"))
    ] = "u280",
    is_quick: Annotated[bool, Option("--quick", help="Ask the model of kept runs of Yosys: seconds in place of minutes.")] = False,
    is_ranked: Annotated[
        bool, Option("--fmax", help="Also route one slice on an ECP5: ranks engines, says nothing of the board.")
    ] = False,
    is_timed: Annotated[
        bool, Option("--timing", help="Also estimate the depth and fan-out of the circuit, against its clock: minutes of Yosys.")
    ] = False,
    settings: options.Settings = None,
) -> Answer:
    """Estimate the look-up tables, flip-flops, memories and DSPs of an engine, against a board and its SLRs.

    Yosys synthesizes each module once and keeps its counts under build/synthesis, so that a second run does not need it.
    With --quick a model that is fitted to kept runs says it at once; docs/synthesis.md says how far it is off.
    With --fmax a slice is placed and routed too, which takes minutes the first time.
    With --timing the longest paths and the most loaded nets are told, by unit and with the names of their registers.

    Examples:

        lamforge synth --engine u280

        lamforge synth --engine u280 --set tile.tokens=6 --quick

        lamforge synth --engine u280 --timing

        lamforge synth --engine small --set tile.tokens=2 --fmax --json -o build/small.json
    """
    from lamforge.flow.synth import SynthRequest, run
    from reports.documents.circuit import synthesis_document
    from reports.text.circuit import synthesis_text

    request = SynthRequest(
        engine=engine, settings=set_values(settings or ()), board=board, is_quick=is_quick, is_ranked=is_ranked, is_timed=is_timed
    )
    return answer(heard(run, request), synthesis_text, synthesis_document)
