"""The meaning of DOT and AXPY."""

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE, EngineConfig
from hwsim.arch.isa import Axpy, Destination, Dot
from hwsim.arch.numerics import apply_scale, combine, saturate, wrap32
from hwsim.machine.meaning.memories import Memories
from hwsim.machine.meaning.weights import header_parts, nibbles, row_sums

__all__ = ["axpy", "dot"]


def dot(memories: Memories, config: EngineConfig, instruction: Dot, name: str) -> np.ndarray:
    """Execute; return the drained words uint32 [words, lanes] in drain order."""
    slices, lanes = config.tile.slices, config.vector.lanes
    blocks, rows, is_key = instruction.blocks, instruction.rows, instruction.format.cache is not None
    if blocks == 0:
        return np.zeros((0, lanes), np.uint32)
    sizes, count = instruction.format.sizes, LANES_PER_SLICE * instruction.inner
    words = memories.streams.take(sizes.stream_words(blocks, count), name)
    # Row b * S + s from here on.
    headers = header_parts(words, blocks, sizes.body_words(count), sizes.header_blocks)
    start = instruction.source * 64
    inputs = memories.activation[:rows, start : start + count]
    accumulated = row_sums(instruction.format, words, blocks, inputs)
    row_scale = headers[:, :4].copy().view("<u4")[:, 0].astype(np.int64)
    mantissa, exponent = row_scale & 0xFFFF, (row_scale >> 16 & 0xFF) - (row_scale >> 23 & 1) * 256
    if is_key:
        accumulated -= (row_scale >> 24)[:, None] * inputs.sum(axis=1, dtype=np.int64)
        values = headers[:, 4:].copy().view("<u4")[:, 0]
        memories.side_parameter[instruction.side * lanes :][: len(values)] = values
    entries = memories.scale[instruction.scale : instruction.scale + rows]
    scale = combine((mantissa[:, None], exponent[:, None]), (entries[:, 0], entries[:, 1]))
    results = apply_scale(wrap32(accumulated), scale).T
    target = memories.residual if instruction.destination == Destination.RESIDUAL else memories.result
    if instruction.destination == Destination.BIASED:
        results = saturate(results + memories.parameter[instruction.side * lanes :][: blocks * slices], 32)
    for row in range(rows):
        place = (instruction.address + row * instruction.stride) * lanes
        if instruction.destination == Destination.RESIDUAL:
            results[row] = saturate(target[place : place + blocks * slices] + results[row], 32)
        target[place : place + blocks * slices] = results[row]
    return _drained(results.reshape(rows, blocks, slices), lanes)


def _drained(values: np.ndarray, lanes: int) -> np.ndarray:
    """Return results [rows, steps, width] as words: step after step, words of a step, row after row."""
    rows, steps, width = values.shape
    if width >= lanes:
        return values.reshape(rows, -1, lanes).transpose(1, 0, 2).reshape(-1, lanes).astype(np.uint32)
    words = np.zeros((steps, rows, lanes // width, width), np.uint32)
    step = np.arange(steps)
    words[step, :, step % (lanes // width)] = values.transpose(1, 0, 2).astype(np.uint32)
    return words.reshape(-1, lanes)


def axpy(memories: Memories, config: EngineConfig, instruction: Axpy, name: str) -> np.ndarray:
    """Execute; return the drained words uint32 [words, lanes] in drain order."""
    slices, lanes, rows, held = config.tile.slices, config.vector.lanes, instruction.rows, 1 << instruction.segments
    tokens = instruction.beats * (slices // held)
    words = memories.streams.take(instruction.beats, name) if instruction.beats else np.zeros((slices, 0, 16), np.uint8)
    # Token i * (S / W) + s // W, word s % W, nibble l.
    codes = nibbles(words).reshape(slices // held, held, instruction.beats, 32).transpose(2, 0, 1, 3).reshape(tokens, 32 * held)
    start = instruction.source * 64
    coefficients = memories.activation[:rows, start : start + tokens].astype(np.float64)
    planes = instruction.cache.planes
    sums = (coefficients @ codes.astype(np.float64)).astype(np.int64).reshape(rows, held // planes, planes, 32)
    sums = (sums << 4 * np.arange(planes)[:, None]).sum(axis=2)
    entries = memories.scale[instruction.scale : instruction.scale + rows]
    accumulated = wrap32(sums.transpose(0, 2, 1) - entries[:, 2, None, None])
    results = apply_scale(accumulated, (entries[:, 0, None, None], entries[:, 1, None, None]))
    for row in range(rows):
        place = (instruction.address + row * instruction.stride) * lanes
        memories.result[place : place + 32 * held // planes] = results[row].reshape(-1)
    return _drained(results.reshape(rows, config.mixed_words, -1), lanes)
