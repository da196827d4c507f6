"""`lamforge compile`: turns a model into programs for an engine."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.errors import SpecError
from lamforge.cli.console import JsonOption, show
from lamforge.cli.options import (
    CacheOption,
    ContextOption,
    EngineOption,
    LayersOption,
    PositionsOption,
    SettingsOption,
    WorkloadOption,
    settings_of,
)
from lamforge.cli.terminal import Terminal

__all__ = ["compile"]


def compile(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)] = None,
    workload: WorkloadOption = None,
    engine: EngineOption = "small",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write the programs into.")] = None,
    context: ContextOption = None,
    positions: PositionsOption = None,
    layers: LayersOption = "w2s",
    cache: CacheOption = "kv4",
    dump_after: Annotated[
        str | None, typer.Option(metavar="PASS", help="Print the graph after this pass (or `frontend`) and stop.")
    ] = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a model for an engine: one decode and one prefill program, each the same for every position.

    The folder gets decode.program, prefill.program, image.safetensors (weights and tables as they lie in memory) and
    the engine. What does not fit is refused with the node and by how much.

    Examples:

        lamforge compile build/model --engine small -o build/program

        lamforge compile build/model --dump-after quantize

        lamforge compile --workload llama-2-7b --engine u280 --context 2048 --set tile.tokens=2 -o build/llama
    """
    from lamforge.flow.compile import CompileRequest, graph_after, run
    from reports.documents.programs import graph_document, programs_document
    from reports.text.programs import programs_text

    request = CompileRequest(
        model,
        workload=workload,
        engine=engine,
        settings=settings_of(settings),
        context=context,
        positions=positions,
        layers=layers,
        cache=cache,
        output=output,
    )
    if dump_after is not None and output is not None:
        raise SpecError("Output must be left out with --dump-after, which compiles nothing")
    if dump_after is not None:
        show(graph_after(request, dump_after), str, graph_document, as_json=as_json)
        return
    if output is None:
        raise SpecError("Output folder must be given with -o, not left out")
    with Terminal() as listener:
        programs = run(request, listener)
    show(programs, programs_text, programs_document, as_json=as_json)
