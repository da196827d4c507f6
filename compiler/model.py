"""Compiles a model with its weights, into programs and a memory image: streams dealt over the ports, parameters and rotations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from compiler.graph import LAYERS
from compiler.pipeline import Compiled, Request, compile_request
from compiler.schedule.placement import Placement
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import PackedMatrix
from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.image import ImageWriter, MemoryImage
from hwsim.arch.isa import SIDE_UNIT
from hwsim.errors import ScheduleError
from models.integer import IntegerModel
from models.integer.constants import rope_table
from models.matrices import HEAD, PARTS, layer_part

__all__ = ["build_image", "compile_model", "request_of"]


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


_Write = Callable[[int, int, np.ndarray], None]
"""Takes bytes of a port at an offset; those of one port come in order of address."""


def build_image(
    model: IntegerModel,
    placement: Placement,
    *,
    max_position: int,
    path: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> MemoryImage:
    """Return the image of a model as `placement` lays it out, in memory or written straight into the file at `path`.

    One matrix is held at a time, and its share for one port on each thread; the file appears when it is complete.

    progress: gets fractions of the work done.
    """
    tile, port_bytes = placement.run.engine.tile, placement.run.memory.total_beats * placement.run.engine.tile.port_bytes
    side = _side(model, placement, max_position)
    if path is None:
        ports = np.zeros((tile.ports, port_bytes), np.uint8)

        def hold(port: int, offset: int, data: np.ndarray) -> None:
            ports[port, offset : offset + len(data)] = data

        _deal_all(hold, model, placement, progress)
        return MemoryImage(ports=ports, side=side)
    with ImageWriter(path, ports=tile.ports, port_bytes=port_bytes, side_bytes=len(side)) as writer:
        _deal_all(writer.write, model, placement, progress)
        writer.write_side(side)
    return writer.image()


def _deal_all(write: _Write, model: IntegerModel, placement: Placement, progress: Callable[[float], None] | None) -> None:
    """Write the streams of all matrices in order of address."""
    run, memory = placement.run, placement.run.memory
    jobs = [
        (layer * memory.layer_beats + memory.streams[node.name], layer, node)
        for node in placement.nodes
        if node.name in memory.streams
        for layer in range(placement.layers if node.section == LAYERS else 1)
    ]
    for index, (start, layer, node) in enumerate(sorted(jobs, key=lambda job: job[0])):
        _deal(write, node.matrix(model, layer), start, run.engine, node.name.format(layer))
        if progress is not None:
            progress((index + 1) / len(jobs))


def _deal(write: _Write, matrix: PackedMatrix, start: int, engine: EngineConfig, name: str) -> None:
    """Write a matrix's streams from beat `start` on: slice s to port s // slices_per_port."""
    matrix.check(name)
    tile = engine.tile

    def part(ports: slice) -> None:
        for port in range(ports.start, ports.stop):
            write(port, start * tile.port_bytes, matrix.port_stream(port, tile.slices, tile.slices_per_port))

    in_parts(part, tile.ports, 1)


def _side(model: IntegerModel, placement: Placement, max_position: int) -> np.ndarray:
    """Return the side memory, uint8 [bytes]: parameters and rotations in their buffers."""
    memory = placement.run.memory
    side = np.zeros(max(buffer.offset + buffer.size for buffer in memory.buffers), np.uint8)
    table = rope_table(model.config, np.arange(max_position)).astype(np.int64)
    rotations = ((table[..., 0] & 0xFFFF) | (table[..., 1] << 16)).astype(np.int32)
    for name, values in (("parameters", _parameters(model, placement)), ("rotation", rotations)):
        raw, start = values.reshape(-1).view(np.uint8), memory.units(name) * SIDE_UNIT
        side[start : start + len(raw)] = raw
    return side


def _parameters(model: IntegerModel, placement: Placement) -> np.ndarray:
    """Return the parameter blocks, int32 [layers + 1, block]: the first layer's, then what each layer loads for later.

    Block `layer + 1` is what that layer loads: what it still needs, then what the next one, or the final section, must
    find loaded.
    """
    run, layers = placement.run, placement.layers
    places = run.memory.parameters
    blocks = np.zeros((layers + 1, places.units * SIDE_UNIT // 4), np.int32)
    for node in placement.nodes:
        if not node.parameter_words():
            continue
        word = places.offsets[node.name]
        is_ahead = word >= places.ahead
        for layer in range(layers) if node.section == LAYERS else [layers]:
            # The first block has nothing but what the first layer must find loaded.
            block = layer if is_ahead else layer + 1
            start = (word - (places.ahead if block == 0 else 0)) * run.lanes
            values = node.parameters(model, layer)
            blocks[block, start : start + len(values)] = values
    return blocks
