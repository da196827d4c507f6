"""`lamforge simulate`: times a program on an engine, cycle by cycle."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.errors import SpecError
from lamforge.bars import bar
from lamforge.console import JsonOption, OutputOption, emit
from lamforge.options import MemoryOption, SettingsOption

__all__ = ["simulate"]


def simulate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL|PROGRAMS", help="Compressed model, or a folder compile wrote.", show_default=False
        ),
    ] = None,
    workload: Annotated[
        str | None, typer.Option(metavar="NAME", help="A well-known shape without weights, such as llama-2-7b.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Shipped engine or a YAML file.", show_default="small, or the programs' own"
        ),
    ] = None,
    context: Annotated[int | None, typer.Option(help="Tokens the cache of a workload keeps: sinks and window.")] = None,
    layer_format: Annotated[str, typer.Option("--format", help="Weight format of a workload's layers.")] = "w2s",
    head_format: Annotated[str, typer.Option("--head", help="Weight format of a workload's head.")] = "w4",
    cache: Annotated[str, typer.Option(help="Format of a workload's keys and values: kv4 or kv8.")] = "kv4",
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
        Path | None, typer.Option(metavar="FILE", help="Write a timeline that Perfetto opens (ui.perfetto.dev).")
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
    from reports.chrome_trace import write_chrome_trace
    from reports.prompt import Prompt
    from reports.tables import prompt_text, simulation_text
    from reports.timing import simulate_command

    if prompt is not None and trace is not None:
        raise SpecError("Timeline must be asked for with one run, not with --prompt")
    with bar("prompt") as done:
        simulation = simulate_command(
            model=model,
            workload=workload,
            engine=engine,
            settings=settings or (),
            context=context,
            layers=layer_format,
            head=head_format,
            cache=cache,
            batch=batch,
            program=program,
            position=position,
            prompt=prompt,
            memory=memory,
            progress=done,
        )
    if isinstance(simulation, Prompt):
        document = simulation.document()
        emit(prompt_text(document), document, as_json=as_json, output=output)
        return
    if trace is not None:
        write_chrome_trace(simulation, trace)
    document = simulation.document()
    emit(simulation_text(document), document, as_json=as_json, output=output)
