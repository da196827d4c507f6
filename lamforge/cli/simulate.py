"""`lamforge simulate`: times a program on an engine, cycle by cycle."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.errors import SpecError
from lamforge.cli.completion import names_of
from lamforge.cli.console import JsonOption, OutputOption, show
from lamforge.cli.options import (
    CacheOption,
    ContextOption,
    LayersOption,
    MemoryOption,
    PositionsOption,
    SettingsOption,
    WorkloadOption,
    settings_of,
)
from lamforge.cli.terminal import Terminal

__all__ = ["simulate"]


def simulate(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL|PROGRAMS", help="Compressed model, or a folder compile wrote.", show_default=False),
    ] = None,
    workload: WorkloadOption = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Shipped engine (`lamforge list engines`) or a YAML file.",
            show_default="small, or the programs' own",
            autocompletion=names_of("engines"),
        ),
    ] = None,
    context: ContextOption = None,
    positions: PositionsOption = None,
    layers: LayersOption = "w2s",
    head: Annotated[str, typer.Option(help="Weight format of a workload's head.", autocompletion=names_of("formats"))] = "w4",
    cache: CacheOption = "kv4",
    batch: Annotated[int, typer.Option(help="Sequences of a workload that are decoded together.")] = 1,
    program: Annotated[str, typer.Option(help="Which program: decode or prefill.")] = "decode",
    position: Annotated[
        int | None, typer.Option(help="Position of the first token.", show_default="the first with a full window")
    ] = None,
    prompt: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="Time a whole prompt: prefill runs one after the other.", show_default=False),
    ] = None,
    memory: MemoryOption = "ideal",
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a timeline in real time that Perfetto opens (ui.perfetto.dev).")
    ] = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
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
        settings=settings_of(settings),
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
    with Terminal() as listener:
        timing = run(request, listener)
    if isinstance(timing, PromptTiming):
        show(timing, prompt_text, prompt_document, as_json=as_json, output=output)
        return
    if trace is not None:
        write_chrome_trace(timing, trace)
    show(timing, timing_text, timing_document, as_json=as_json, output=output)
