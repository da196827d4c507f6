"""Compiles a model with its weights; kept apart from the pipeline, which needs only shapes and so starts without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compiler.emit.image import build_image
from compiler.pipeline import Compiled, Request, compile_request
from hwsim.arch.config import EngineConfig
from hwsim.errors import ScheduleError
from models.integer import IntegerModel
from models.matrices import HEAD, PARTS, layer_part

__all__ = ["compile_model", "request_of"]


def request_of(model: IntegerModel, engine: EngineConfig, context: int | None = None, *, batch: int = 1) -> Request:
    """Return the request that compiles a model; its layers must share one format. Raises ScheduleError."""
    formats = {model.matrices[layer_part(layer, part)].format for layer in range(model.config.layers) for part in PARTS}
    if len(formats) > 1:
        raise ScheduleError(f"Layers must share one weight format, not {', '.join(sorted(f.name for f in formats))}")
    layers = formats.pop()
    return Request(
        config=model.config,
        layers=layers,
        head=model.matrices[HEAD].format,
        cache=model.cache,
        sinks=model.sinks,
        window=model.window if context is None else min(model.window, context),
        engine=engine,
        context=model.config.max_positions if context is None else context,
        prefill_rows=engine.tile.rows_of(layers),
        batch=batch,
    )


def compile_model(
    model: IntegerModel,
    engine: EngineConfig,
    *,
    context: int | None = None,
    batch: int = 1,
    image: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Compiled:
    """Return programs and image of a model; raise ScheduleError or GraphError.

    image: file the image is written into and mapped from; None keeps it in memory.
    """
    request = request_of(model, engine, context, batch=batch)
    return compile_request(
        request, build=lambda placed: build_image(model, placed, max_position=request.context, path=image, progress=progress)
    )
