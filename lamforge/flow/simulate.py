"""Knows what the command line may ask to be timed: programs, a model, or a well-known shape; one run, or a whole prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hwsim.errors import SpecError
from hwsim.memory.models import memory_model
from lamforge.flow.engines import chosen_engine
from lamforge.flow.programs import Programs, is_program_folder
from lamforge.flow.prompt import Prompt, simulate_prompt
from lamforge.flow.simulation import (
    Simulation,
    cache_named,
    check_given,
    compiled_workload,
    format_named,
    simulate,
    workload_request,
)

__all__ = ["simulate_command"]


def simulate_command(
    *,
    model: str | None,
    workload: str | None,
    engine: str | None,
    settings: Sequence[str],
    context: int | None,
    layers: str,
    head: str,
    cache: str,
    batch: int,
    program: str,
    position: int | None,
    prompt: int | None,
    memory: str,
    progress: Callable[[float], None],
) -> Simulation | Prompt:
    """Return the simulation of one run, or of a whole prompt, everything given as on the command line."""
    kind = memory_model(memory)
    programs = _programs(model, workload, engine, settings, context, layers, head, cache, batch)
    if prompt is not None:
        if position is not None:
            raise SpecError("Position must be left out with --prompt, which starts at position 0")
        return simulate_prompt(programs, prompt, memory=kind, progress=progress)
    return simulate(programs, program, position=position, memory=kind)


def _programs(
    model: str | None,
    workload: str | None,
    engine: str | None,
    settings: Sequence[str],
    context: int | None,
    layers: str,
    head: str,
    cache: str,
    batch: int,
) -> Programs:
    check_given(model, workload, context)
    if model is not None and is_program_folder(Path(model)):
        if engine is not None or settings or context is not None:
            raise SpecError("Engine and context must be left to the compiled programs, not given again")
        return Programs.load(Path(model))
    chosen = chosen_engine("small" if engine is None else engine, settings)
    if workload is not None:
        assert context is not None
        formats = {"layers": format_named(layers), "head": format_named(head)}
        kept = cache_named(cache)
        return compiled_workload(workload_request(workload, chosen, context=context, **formats, cache=kept, batch=batch))
    if batch != 1:
        raise SpecError("Batch must be left to a workload, or to the compiled programs, not given with a model")
    # Imported here: what a shape needs does without PyTorch's models.
    from lamforge.flow.compile import compiled
    from lamforge.flow.sources import open_compressed

    assert model is not None
    return compiled(open_compressed(model), chosen, context=context)
