"""`lamforge simulate`: times a program on an engine, cycle by cycle."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hwsim.errors import SpecError
from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from lamforge.cli.options import names_of

__all__ = ["simulate"]


def simulate(
    model: Annotated[
        str | None, Argument(metavar="MODEL|PROGRAMS", help="Compressed model, or a folder compile wrote.", show_default=False)
    ] = None,
    workload: options.Workload = None,
    engine: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            help="Shipped engine (`lamforge list engines`) or a YAML file.",
            show_default="small, or the programs' own",
            autocompletion=names_of("engines"),
        ),
    ] = None,
    context: options.Context = None,
    positions: options.Positions = None,
    layers: options.Layers = "w2s",
    head: Annotated[str, Option(help="Weight format of a workload's head.", autocompletion=names_of("formats"))] = "w4",
    cache: options.Cache = "kv4",
    batch: Annotated[int, Option(help="Sequences of a workload that are decoded together.")] = 1,
    program: Annotated[str, Option(help="Which program: decode or prefill.")] = "decode",
    position: Annotated[
        int | None, Option(help="Position of the first token.", show_default="the first with a full window")
    ] = None,
    prompt: Annotated[
        int | None, Option(metavar="TOKENS", help="Time a whole prompt: prefill runs one after the other.", show_default=False)
    ] = None,
    memory: options.Memory = "ideal",
    trace: Annotated[
        Path | None, Option(metavar="FILE", help="Write a timeline in real time that Perfetto opens (ui.perfetto.dev).")
    ] = None,
    settings: options.Settings = None,
) -> Answer:
    """Simulate one run of a program: cycles, bytes, token/s, and what every cycle was spent on.

    `causes` are the matrix unit's cycles and sum to `cycles`: compute, memory (the next beat is not there), drain
    (results still leave the array), on_... (waiting for another unit), control. Power and energy are estimates for the
    engine's board, an Alveo U280 where it is made for none (`lamforge validate energy` sets them beside published figures).

    Examples:

        lamforge simulate build/model --engine small --trace build/timeline.json

        lamforge simulate build/program --program prefill --memory stalling:7

        lamforge simulate --workload llama-2-7b --engine u280 --context 2048 --memory hbm2 --batch 4

        lamforge simulate --workload llama-2-7b --engine u280 --context 2048 --memory hbm2 --prompt 512 --json
    """
    from lamforge.flow.simulate import PromptTiming, SimulateRequest, run
    from reports.documents.chrome_trace import write_chrome_trace
    from reports.documents.programs import prompt_document, timing_document
    from reports.text.programs import prompt_text, timing_text

    if prompt is not None and trace is not None:
        raise SpecError("Timeline must be asked for with one run, not with --prompt")
    request = SimulateRequest(
        model,
        workload=workload,
        engine=engine,
        settings=set_values(settings or ()),
        context=context,
        positions=positions,
        layers=layers,
        head=head,
        cache=cache,
        batch=batch,
        program=program,
        position=position,
        prompt=prompt,
        memory=memory,
    )
    timing = heard(run, request)
    if isinstance(timing, PromptTiming):
        return answer(timing, prompt_text, prompt_document)
    if trace is not None:
        write_chrome_trace(timing, trace)
    return answer(timing, timing_text, timing_document)
