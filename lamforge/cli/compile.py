"""`lamforge compile`: turns a model into programs for an engine."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hwsim.errors import SpecError
from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard

__all__ = ["compile"]


def compile(
    model: Annotated[str | None, Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)] = None,
    workload: options.Workload = None,
    engine: options.Engine = "small",
    output: Annotated[Path | None, Option("--output", "-o", help="Folder to write the programs into.")] = None,
    context: options.Context = None,
    positions: options.Positions = None,
    layers: options.Layers = "w2s",
    cache: options.Cache = "kv4",
    dump_after: Annotated[
        str | None, Option(metavar="PASS", help="Print the graph after this pass (or `frontend`) and stop.")
    ] = None,
    settings: options.Settings = None,
) -> Answer:
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
        settings=set_values(settings or ()),
        context=context,
        positions=positions,
        layers=layers,
        cache=cache,
        output=output,
    )
    if dump_after is not None and output is not None:
        raise SpecError("Output must be left out with --dump-after, which compiles nothing")
    if dump_after is not None:
        return answer(graph_after(request, dump_after), str, graph_document)
    if output is None:
        raise SpecError("Output folder must be given with -o, not left out")
    return answer(heard(run, request), programs_text, programs_document)
