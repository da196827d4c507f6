"""Knows how a model or a well-known shape becomes programs on disk, and the graph as it is after any pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from compiler.graph import Graph
from compiler.model import compile_model, request_of
from compiler.pipeline import Request, passes, quantized_graph
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from models.compressed import CompressedModel
from reports.engines import chosen_engine
from reports.folders import whole_folder
from reports.programs import IMAGE, Programs
from reports.simulation import cache_named, check_given, compiled_workload, format_named, workload_request
from reports.sources import open_compressed

__all__ = ["compile_command", "compiled", "graph_after"]

_FRONTEND = "frontend"


def compiled(
    made: CompressedModel,
    engine: EngineConfig,
    *,
    context: int | None = None,
    progress: Callable[[float], None] | None = None,
    output: Path | None = None,
) -> Programs:
    """Return programs and image of a compressed model; raise ScheduleError or GraphError.

    context: positions that can be run; None takes what the model was made for.
    output: folder that gets everything, all or nothing, the image written as it is made and then mapped; None keeps it
        in memory.
    """
    name = made.model.config.name
    if output is None:
        return Programs.of(compile_model(made.model, engine, context=context, progress=progress), name)
    with whole_folder(output) as part:
        image = part / IMAGE
        programs = Programs.of(compile_model(made.model, engine, context=context, image=image, progress=progress), name)
        programs.write(part)
    return programs


def graph_after(request: Request, name: str) -> str:
    """Return the graph after a pass, as text; raise SpecError for a pass there is not."""
    known = (_FRONTEND, *(step.name for step in passes(request)))
    if name not in known:
        raise SpecError(f"Pass must be one of {', '.join(known)}, not {name!r}")
    seen: dict[str, str] = {}

    def dump(after: str, graph: Graph) -> None:
        seen[after] = graph.to_text()

    quantized_graph(request, dump)
    return seen[name]


def compile_command(
    *,
    model: str | None,
    workload: str | None,
    engine: str,
    settings: Sequence[str],
    context: int | None,
    layers: str,
    cache: str,
    dump_after: str | None,
    output: Path | None,
    progress: Callable[[float], None],
) -> Programs | str:
    """Return what was compiled and saved at `output`, or the graph after `dump_after` as text."""
    check_given(model, workload, context)
    if dump_after is None and output is None:
        raise SpecError("Output folder must be given with -o, not left out")
    chosen = chosen_engine(engine, settings)
    if workload is not None:
        assert context is not None
        kept = cache_named(cache)
        request = workload_request(workload, chosen, context=context, layers=format_named(layers), cache=kept)
        if dump_after is not None:
            return graph_after(request, dump_after)
        assert output is not None
        programs = compiled_workload(request)
        programs.save(output)
    else:
        assert model is not None
        made = open_compressed(model)
        if dump_after is not None:
            return graph_after(request_of(made.model, chosen, context), dump_after)
        programs = compiled(made, chosen, context=context, progress=progress, output=output)
    return programs
