"""`lamforge cosim`: runs an engine's Verilog on a model and compares every bit and every cycle."""

from typing import Annotated

from typer import Option

from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard

__all__ = ["cosim"]


def cosim(
    model: options.Model,
    engine: options.Engine = "small",
    memory: Annotated[
        list[str] | None,
        Option(
            metavar="MODEL",
            help="Memory model (ideal, stalling, hbm2), more than once for several.",
            show_default="ideal, stalling:1",
        ),
    ] = None,
    question: options.Question = "What is the capital of France?",
    is_raw: options.Raw = False,
    is_hosted: Annotated[bool, Option("--host", help="Drive the Verilog by the host runtime, which drives boards too.")] = False,
    has_netlists: Annotated[bool, Option("--gates", help="Run the netlist of each part beside it, and compare them.")] = False,
    settings: options.Settings = None,
) -> Answer:
    """Run one whole decode step of a model on the engine's Verilog, in Verilator, and compare it.

    Every result word is compared with the simulator's, the logits and the cache with the PyTorch integer reference,
    every instruction's dispatch, issue and retirement cycle with the simulator's. Any difference is named, and the
    exit code is then 1. With --gates, Yosys maps each part of the engine to the cells of UltraScale+ first, and every
    output of each part is compared with its netlist's in every cycle; a difference stops the run.

    Examples:

        lamforge cosim build/model --engine small --json

        lamforge cosim build/model --host

        lamforge cosim build/model --engine tiny --gates

        lamforge cosim build/model --memory stalling:3 --memory hbm2 --question "Why is the sky blue?"
    """
    from lamforge.flow.cosim import CosimRequest, run
    from reports.documents.verdict import verdict_document
    from reports.text.verdict import verdict_text

    request = CosimRequest(
        model,
        engine=engine,
        settings=set_values(settings or ()),
        memories=memory or (),
        question=question,
        is_raw=is_raw,
        is_hosted=is_hosted,
        has_netlists=has_netlists,
    )
    verdict = heard(run, request)
    return answer(verdict, verdict_text, verdict_document, is_right=verdict.is_equal)
