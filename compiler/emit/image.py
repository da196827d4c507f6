"""The memory image of a model: weight streams dealt over the ports, parameters and rotations in the side memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compiler.schedule.memory_map import SIDE_UNIT, norm_words
from compiler.schedule.plan import Plan
from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import WEIGHT_FORMATS, QuantizedMatrix
from hwsim.arch.program import MemoryImage
from models.integer import IntegerModel
from models.integer.constants import epsilon, inverse_hidden, rope_table
from models.integer.model import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, PARTS, layer_part

__all__ = ["build_image"]


def build_image(
    model: IntegerModel, plan: Plan, *, max_position: int, progress: Callable[[float], None] | None = None
) -> MemoryImage:
    """Return the image of a model as `plan` lays it out; `progress` gets fractions of the work done."""
    engine, memory = plan.engine, plan.memory
    ports = np.zeros((engine.tile.ports, memory.total_beats * engine.tile.port_bytes), np.uint8)
    jobs = [
        (layer_part(layer, part), layer * memory.layer_beats + memory.streams[f"layers.{{}}.{part}"])
        for layer in range(model.config.layers)
        for part in PARTS
    ]
    jobs.append((HEAD, memory.streams[HEAD]))
    for index, (name, start) in enumerate(jobs):
        _deal(ports, model.matrices[name], start, engine, name)
        if progress is not None:
            progress((index + 1) / len(jobs))
    side = np.zeros(max(buffer.offset + buffer.size for buffer in memory.buffers), np.uint8)
    _write(side, memory.units("parameters"), _parameters(model, plan))
    table = rope_table(model.config, np.arange(max_position)).astype(np.int64)
    _write(side, memory.units("rotation"), ((table[..., 0] & 0xFFFF) | (table[..., 1] << 16)).astype(np.int32).reshape(-1))
    return MemoryImage(ports=ports, side=side)


def _deal(ports: np.ndarray, matrix: QuantizedMatrix, start: int, engine: EngineConfig, name: str) -> None:
    """Write a matrix's streams from beat `start` on: slice s to port s // slices_per_port."""
    matrix.check(name)
    tile = engine.tile
    streams = WEIGHT_FORMATS[matrix.format].pack_stream(matrix, tile.slices)
    words = streams.reshape(tile.ports, tile.slices_per_port, -1, 16).transpose(0, 2, 1, 3)
    length = words.shape[1] * tile.port_bytes
    ports[:, start * tile.port_bytes : start * tile.port_bytes + length] = words.reshape(tile.ports, length)


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
