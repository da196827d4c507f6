"""The meaning of DOT and AXPY."""

from __future__ import annotations

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Axpy, Destination, Dot, Format
from hwsim.arch.numerics import apply_scale, combine, saturate, wrap32
from hwsim.machine.meaning.memories import Memories
from hwsim.machine.meaning.weights import integer_weights, nibbles, split_blocks

__all__ = ["axpy", "dot"]

_CHUNK = 1 << 19
"""Weights unpacked at a time: they stay in the processor's cache."""


def _body_beats(instruction: Dot) -> int:
    inner = instruction.inner
    if instruction.format is Format.KV4:
        return inner
    if instruction.format is Format.W2S:
        return inner // 2
    groups = inner // 2 if instruction.format is Format.W2 else inner
    return groups * (2 if instruction.format is Format.W8 else 1) + -(-groups // 8)


def dot(memories: Memories, config: EngineConfig, instruction: Dot, name: str) -> np.ndarray:
    """Execute; return the drained words uint32 [words, lanes] in drain order."""
    slices, lanes = config.tile.slices, config.vector.lanes
    blocks, rows, is_key = instruction.blocks, instruction.rows, instruction.format is Format.KV4
    if blocks == 0:
        return np.zeros((0, lanes), np.uint32)
    body, period = _body_beats(instruction), 2 if is_key else 4
    words = memories.streams.take(-(-blocks // period) + blocks * body, name)
    headers, bodies = split_blocks(words, blocks, body, period)
    # [blocks, slices] order from here on: row b * S + s.
    headers = np.ascontiguousarray(headers.transpose(1, 0, 2)).reshape(blocks * slices, -1)
    bodies = bodies.transpose(1, 0, 2, 3)
    start = instruction.source * 64
    inputs = memories.activation[:rows, start : start + 32 * instruction.inner].astype(np.float64).T
    sums = np.empty((blocks * slices, rows))
    step = max(1, _CHUNK // (32 * instruction.inner * slices))
    for first in range(0, blocks, step):
        part = np.ascontiguousarray(bodies[first : first + step]).reshape(-1, body, 16)
        # Products and sums stay below 2**53, so the float arithmetic is exact.
        sums[first * slices : (first + step) * slices] = integer_weights(instruction.format, part).astype(np.float64) @ inputs
    row_scale = headers[:, :4].copy().view("<u4")[:, 0].astype(np.int64)
    mantissa, exponent = row_scale & 0xFFFF, (row_scale >> 16 & 0xFF) - (row_scale >> 23 & 1) * 256
    accumulated = sums.astype(np.int64)
    if is_key:
        accumulated -= (row_scale >> 24)[:, None] * inputs.sum(axis=0).astype(np.int64)
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
    # Token i * (S / G) + s // G, segment s % G, nibble l.
    codes = nibbles(words).reshape(slices // held, held, instruction.beats, 32).transpose(2, 0, 1, 3).reshape(tokens, 32 * held)
    start = instruction.source * 64
    coefficients = memories.activation[:rows, start : start + tokens].astype(np.float64)
    sums = (coefficients @ codes.astype(np.float64)).astype(np.int64).reshape(rows, held, 32)
    entries = memories.scale[instruction.scale : instruction.scale + rows]
    accumulated = wrap32(sums.transpose(0, 2, 1) - entries[:, 2, None, None])
    results = apply_scale(accumulated, (entries[:, 0, None, None], entries[:, 1, None, None]))
    for row in range(rows):
        place = (instruction.address + row * instruction.stride) * lanes
        memories.result[place : place + 32 * held] = results[row].reshape(-1)
    return _drained(results, lanes)
