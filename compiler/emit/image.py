"""The memory image of a model: weight streams dealt over the ports, parameters and rotations in the side memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from compiler.schedule.memory_map import SIDE_UNIT, norm_words
from compiler.schedule.plan import Plan
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import PackedMatrix, packed_of
from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.image import ImageWriter, MemoryImage
from models.integer import IntegerModel
from models.integer.constants import epsilon, inverse_hidden, rope_table
from models.matrices import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, PARTS, layer_part

__all__ = ["build_image"]


class _Sink(Protocol):
    """What takes the bytes of the ports; those of one port come in order of address."""

    def write(self, port: int, offset: int, data: np.ndarray) -> None: ...


class _Held:
    """Ports in memory."""

    def __init__(self, ports: int, port_bytes: int) -> None:
        self.ports = np.zeros((ports, port_bytes), np.uint8)

    def write(self, port: int, offset: int, data: np.ndarray) -> None:
        self.ports[port, offset : offset + len(data)] = data


def build_image(
    model: IntegerModel,
    plan: Plan,
    *,
    max_position: int,
    path: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> MemoryImage:
    """Return the image of a model as `plan` lays it out, in memory or written straight into the file at `path`.

    One matrix is held at a time, and its share for one port on each thread; the file appears when it is complete.

    progress: gets fractions of the work done.
    """
    tile, port_bytes = plan.engine.tile, plan.memory.total_beats * plan.engine.tile.port_bytes
    side = _side(model, plan, max_position)
    if path is None:
        held = _Held(tile.ports, port_bytes)
        _deal_all(held, model, plan, progress)
        return MemoryImage(ports=held.ports, side=side)
    with ImageWriter(path, ports=tile.ports, port_bytes=port_bytes, side_bytes=len(side)) as writer:
        _deal_all(writer, model, plan, progress)
        writer.write_side(side)
    return writer.image()


def _deal_all(sink: _Sink, model: IntegerModel, plan: Plan, progress: Callable[[float], None] | None) -> None:
    """Write the streams of all matrices in order of address."""
    memory = plan.memory
    jobs = [
        (layer * memory.layer_beats + memory.streams[f"layers.{{}}.{part}"], layer_part(layer, part))
        for layer in range(model.config.layers)
        for part in PARTS
    ]
    jobs.append((memory.streams[HEAD], HEAD))
    for index, (start, name) in enumerate(sorted(jobs)):
        _deal(sink, packed_of(model.matrices[name]), start, plan.engine, name)
        if progress is not None:
            progress((index + 1) / len(jobs))


def _deal(sink: _Sink, matrix: PackedMatrix, start: int, engine: EngineConfig, name: str) -> None:
    """Write a matrix's streams from beat `start` on: slice s to port s // slices_per_port."""
    matrix.check(name)
    tile = engine.tile

    def part(ports: slice) -> None:
        for port in range(ports.start, ports.stop):
            sink.write(port, start * tile.port_bytes, matrix.port_stream(port, tile.slices, tile.slices_per_port))

    in_parts(part, tile.ports, 1)


def _side(model: IntegerModel, plan: Plan, max_position: int) -> np.ndarray:
    """Return the side memory, uint8 [bytes]: parameters and rotations in their buffers."""
    memory = plan.memory
    side = np.zeros(max(buffer.offset + buffer.size for buffer in memory.buffers), np.uint8)
    _write(side, memory.units("parameters"), _parameters(model, plan))
    table = rope_table(model.config, np.arange(max_position)).astype(np.int64)
    _write(side, memory.units("rotation"), ((table[..., 0] & 0xFFFF) | (table[..., 1] << 16)).astype(np.int32).reshape(-1))
    return side


def _write(side: np.ndarray, unit: int, values: np.ndarray) -> None:
    raw = np.ascontiguousarray(values, dtype=np.int32).view(np.uint8)
    side[unit * SIDE_UNIT : unit * SIDE_UNIT + len(raw)] = raw


def _parameters(model: IntegerModel, plan: Plan) -> np.ndarray:
    """Return the parameter blocks, int32 [(layers + 1) * block]: the first layer's, then what each layer loads for later."""
    lanes, layers = plan.lanes, model.config.layers
    block = np.zeros((layers + 1, plan.memory.parameter_block * SIDE_UNIT // 4), np.int32)
    bias_width = plan.strides["layers.{}.qkv"] * lanes

    def norm(name: str) -> np.ndarray:
        gain = model.gains[name]
        mantissa, exponent = inverse_hidden(model.config, gain)
        words = np.zeros(norm_words(model.config.hidden, lanes) * lanes, np.int32)
        words[: model.config.hidden] = gain.values
        words[-lanes] = epsilon(model.config)
        words[-lanes + 1] = mantissa | (exponent & 0xFF) << 16
        return words

    def before(layer: int) -> list[np.ndarray]:
        """Return what a layer must find loaded when it starts."""
        if layer == layers:
            return [norm(FINAL_NORM)]
        parts = [norm(layer_part(layer, ATTENTION_NORM))]
        if model.config.qkv_bias:
            bias = np.zeros(bias_width, np.int32)
            values = model.biases[layer_part(layer, "qkv")]
            bias[: len(values)] = values
            parts.append(bias)
        return parts

    for layer in range(layers + 1):
        parts = before(layer) if layer == 0 else [norm(layer_part(layer - 1, FFN_NORM)), *before(layer)]
        flat = np.concatenate(parts)
        block[layer, : len(flat)] = flat
    return block.reshape(-1)
