"""A model or a well-known network becomes programs for an engine; and the compiler's graph as it is after any pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from compiler.graph import Graph
from compiler.model import compile_model, request_of
from compiler.passes import passes
from compiler.pipeline import Request, quantized_graph
from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError, shown
from hwsim.whole_files import whole_folder
from lamforge.flow.programs import IMAGE, Programs
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.target import Target
from lamforge.flow.verb import SILENT, Listener, verb
from models.compressed import CompressedModel

__all__ = ["CompileRequest", "compile", "compiled_model", "graph_after", "run"]

_FRONTEND = "frontend"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileRequest(Target):
    """What to compile, and where to leave it.

    Attributes:
        output: folder to write programs, memory image and engine into, all or nothing; None keeps them in memory.
    """

    output: str | Path | None = None


def run(request: CompileRequest, listener: Listener = SILENT) -> Programs:
    """Compile a model for an engine: one decode and one prefill program, each the same for every position.

    Raises:
        SpecError: not exactly one of model and workload is given, or what belongs to the other.
        CheckpointError: there is no such model or network.
        ScheduleError: something does not fit the engine; the sentence names the node and by how much.
    """
    request.check()
    output = None if request.output is None else Path(request.output)
    if request.model is not None:
        made = open_compressed(_uncompiled(request))
        return compiled_model(made, request.chosen_engine, positions=request.positions, output=output, listener=listener)
    programs = request.network_programs()
    if output is not None:
        programs.save(output)
    return programs


compile = verb("compile", CompileRequest, run)


def compiled_model(
    made: CompressedModel,
    engine: EngineConfig,
    *,
    positions: int | None = None,
    output: Path | None = None,
    listener: Listener = SILENT,
) -> Programs:
    """Return programs and image of a compressed model; raise ScheduleError or GraphError.

    positions: positions that can be run; None takes what the model was made for.
    output: folder that gets everything, all or nothing, the image written as it is made and then mapped; None keeps it
        in memory.
    """

    told = listener.part("image")
    name = made.model.config.name
    if output is None:
        return Programs.of(compile_model(made.model, engine, context=positions, progress=told), name)
    with whole_folder(output, keeps_others=True) as part:
        compiled = compile_model(made.model, engine, context=positions, image=part / IMAGE, progress=told)
        programs = Programs.of(compiled, name)
        programs.write(part)
    return programs


def graph_after(target: Target, name: str) -> str:
    """Return the compiler's graph of a target after a pass, or after the frontend, as text with a line for each node.

    name: of the pass, or `frontend`.

    Raises what `run` does, and SpecError where there is no such pass.
    """
    target.check()
    if target.model is None:
        request: Request = target.network_request()
    else:
        request = request_of(open_compressed(_uncompiled(target)).model, target.chosen_engine, target.positions)
    known = (_FRONTEND, *(step.name for step in passes(layers=request.layers, head=request.head)))
    if name not in known:
        raise SpecError(f"Pass must be one of {', '.join(known)}, not {shown(name)}")
    seen: dict[str, Graph] = {}
    quantized_graph(request, seen.__setitem__)
    return seen[name].to_text()


def _uncompiled(target: Target) -> ModelSource:
    """Return the model of a target; raise SpecError for programs, which are compiled already."""
    if target.model is None or isinstance(target.model, Programs):
        raise SpecError("Model must be a compressed model, not compiled programs")
    return target.model
