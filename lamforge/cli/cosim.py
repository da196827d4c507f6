"""`lamforge cosim`: runs an engine's Verilog on a model and compares every bit and every cycle."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.errors import BUG
from lamforge.cli.options import EngineOption, ModelArgument, QuestionOption, RawOption, SettingsOption, settings_of
from lamforge.cli.terminal import Terminal

__all__ = ["cosim"]


def cosim(
    model: ModelArgument,
    engine: EngineOption = "small",
    memory: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Memory model (ideal, stalling, hbm2), more than once for several.",
            show_default="ideal, stalling:1",
        ),
    ] = None,
    question: QuestionOption = "What is the capital of France?",
    is_raw: RawOption = False,
    is_hosted: Annotated[
        bool, typer.Option("--host", help="Drive the Verilog by the host runtime, which drives boards too.")
    ] = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run one whole decode step of a model on the engine's Verilog, in Verilator, and compare it.

    Every result word is compared with the simulator's, the logits and the cache with the PyTorch integer reference,
    every instruction's dispatch, issue and retirement cycle with the simulator's. Any difference is named, and the
    exit code is then 1.

    Examples:

        lamforge cosim build/model --engine small --json

        lamforge cosim build/model --host

        lamforge cosim build/model --memory stalling:3 --memory hbm2 --question "Why is the sky blue?"
    """
    from lamforge.flow.cosim import CosimRequest, run
    from reports.documents.circuit import verdict_document
    from reports.text.circuit import verdict_text

    request = CosimRequest(
        model,
        engine=engine,
        settings=settings_of(settings),
        memories=memory or (),
        question=question,
        is_raw=is_raw,
        is_hosted=is_hosted,
    )
    with Terminal() as listener:
        verdict = run(request, listener)
    show(verdict, verdict_text, verdict_document, as_json=as_json, output=output)
    if not verdict.is_equal:
        raise typer.Exit(BUG)
