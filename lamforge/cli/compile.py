"""`lamforge compile`: turns a model into programs for an engine."""

from pathlib import Path
from typing import Annotated

import typer

from lamforge.cli.bars import bar
from lamforge.cli.console import JsonOption, emit
from lamforge.cli.options import EngineOption, SettingsOption

__all__ = ["compile"]


def compile(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Folder of a compressed model.", show_default=False)
    ] = None,
    workload: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compile a well-known shape without weights, such as llama-2-7b.")
    ] = None,
    engine: EngineOption = "small",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write the programs into.")] = None,
    context: Annotated[
        int | None, typer.Option(help="Positions that can be run; of a workload, tokens its cache keeps.")
    ] = None,
    layer_format: Annotated[str, typer.Option("--format", help="Weight format of a workload's layers.")] = "w2s",
    cache: Annotated[str, typer.Option(help="Format of a workload's keys and values: kv4 or kv8.")] = "kv4",
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
    from lamforge.flow.compile import compile_command
    from reports.text.tables import program_text

    with bar("image") as done:
        result = compile_command(
            model=model,
            workload=workload,
            engine=engine,
            settings=settings or (),
            context=context,
            layers=layer_format,
            cache=cache,
            dump_after=dump_after,
            output=output,
            progress=done,
        )
    if isinstance(result, str):
        emit(result, {"graph": result.splitlines()}, as_json=as_json)
        return
    document = result.document()
    emit(program_text(document), document, as_json=as_json)
