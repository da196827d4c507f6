"""The meaning of the VECTOR instructions, row after row."""

from __future__ import annotations

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheKind, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from hwsim.arch.numerics import (
    EXP2_ONE_BITS,
    FRACTION_BITS,
    ROPE_BITS,
    SQUARE_SHIFT,
    WEIGHT_FRACTION_BITS,
    apply_scale,
    combine,
    exp2_neg,
    kv_inverse,
    normalize,
    quantize_act,
    quantize_inverse,
    quantize_kv,
    reciprocal,
    round_shift,
    rsqrt,
    saturate,
    silu,
)
from hwsim.machine.meaning.memories import Memories

__all__ = ["kvquant", "norm", "quant", "rope", "softmax", "swiglu"]

_SQUARE_FRACTION = 2 * FRACTION_BITS - SQUARE_SHIFT

Scale = tuple[np.ndarray, np.ndarray]


class _Rows:
    """Writes the codes and scales of an instruction's rows and collects the codes as its log."""

    def __init__(self, memories: Memories, config: EngineConfig, destination: int, scale: int):
        self.memories, self.lanes, self.start, self.scale = memories, config.vector.lanes, destination * 64, scale
        self.codes: list[np.ndarray] = []

    def write(self, codes: np.ndarray, scale: Scale, zero_sum: int = 0) -> None:
        row = len(self.codes)
        self.memories.activation[row, self.start : self.start + len(codes)] = codes
        self.memories.write_scale(self.scale + row, int(scale[0]), int(scale[1]), zero_sum)
        self.codes.append(codes.astype(np.int8).reshape(-1, self.lanes))

    def log(self) -> np.ndarray:
        return np.concatenate(self.codes)


def _row(memory: np.ndarray, start: int, words: int, lanes: int) -> np.ndarray:
    return memory[start * lanes : (start + words) * lanes]


def _quantizer(values: np.ndarray) -> tuple[Scale, Scale]:
    """Return the inverse and the scale, in fixed units, of 8-bit codes of fixed values."""
    inverse, (mantissa, exponent) = quantize_inverse(np.abs(values).max())
    return inverse, (mantissa, exponent - FRACTION_BITS)


def _rotated(values: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return y of ROPE: cosine in the low half, signed sine in the high half of each rotation word."""
    cosine, sine = ((rotation & 0xFFFF) ^ 0x8000) - 0x8000, rotation >> 16
    half = len(values) // 2
    partner = np.concatenate([values[half:], values[:half]])
    return saturate(round_shift(values * cosine + partner * sine, ROPE_BITS), 32)


def norm(memories: Memories, config: EngineConfig, instruction: Norm) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes, length = config.vector.lanes, instruction.length
    gain = _row(memories.parameter, instruction.parameter, length, lanes)
    epsilon, share = (int(value) for value in _row(memories.parameter, instruction.parameter + length, 1, lanes)[:2])
    count = np.int64(share & 0xFFFF), np.int64((share >> 16 & 0xFF ^ 0x80) - 0x80)
    rows = _Rows(memories, config, instruction.destination, instruction.scale)
    for row in range(instruction.rows):
        x = _row(memories.residual, instruction.source + row * instruction.stride, length, lanes)
        y = saturate(round_shift(x * gain, instruction.shift), 32)
        squares = round_shift(x * x, SQUARE_SHIFT).sum()
        mantissa, exponent = normalize(squares + epsilon)
        root = rsqrt(combine((mantissa, exponent - _SQUARE_FRACTION), count))
        inverse, scale = _quantizer(y)
        rows.write(quantize_act(y, inverse), combine(scale, root))
    return rows.log()


def quant(memories: Memories, config: EngineConfig, instruction: Quant) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    rows = _Rows(memories, config, instruction.destination, instruction.scale)
    for row in range(instruction.rows):
        start = instruction.source + row * instruction.stride
        y = _row(memories.result, start, instruction.length, config.vector.lanes)
        inverse, scale = _quantizer(y)
        rows.write(quantize_act(y, inverse), scale)
    return rows.log()


def swiglu(memories: Memories, config: EngineConfig, instruction: SwiGlu) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    rows = _Rows(memories, config, instruction.destination, instruction.scale)
    for row in range(instruction.rows):
        gate, up = (
            _row(memories.result, start + row * instruction.stride, instruction.length, config.vector.lanes)
            for start in (instruction.source, instruction.up)
        )
        y = saturate(round_shift(silu(gate) * up, FRACTION_BITS), 32)
        inverse, scale = _quantizer(y)
        rows.write(quantize_act(y, inverse), scale)
    return rows.log()


def rope(memories: Memories, config: EngineConfig, instruction: Rope) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes, length = config.vector.lanes, instruction.length
    rotation = _row(memories.parameter, instruction.parameter, length, lanes)
    constant = np.int64(instruction.mantissa), np.int64(instruction.exponent)
    rows = _Rows(memories, config, instruction.destination, instruction.scale)
    for row in range(instruction.rows):
        head = _row(memories.result, instruction.source + row * instruction.stride, length, lanes)
        y = _rotated(head, rotation)
        inverse, scale = _quantizer(y)
        rows.write(quantize_act(y, inverse), combine(scale, constant))
    return rows.log()


def softmax(memories: Memories, config: EngineConfig, instruction: Softmax) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes = config.vector.lanes
    words = instruction.sink_words + instruction.ring_words
    parameter = _row(memories.side_parameter, instruction.side, words, lanes)
    value_scale = parameter & 0xFFFF, ((parameter >> 16 & 0xFF) ^ 0x80) - 0x80
    zero = parameter >> 24
    index = np.arange(words * lanes)
    sinks = instruction.sink_words * lanes
    is_valid = np.where(index < sinks, index < instruction.sinks, index - sinks < instruction.ring)
    rows = _Rows(memories, config, instruction.destination, instruction.scale)
    for row in range(instruction.rows):
        score = _row(memories.result, instruction.source + row * instruction.stride, words, lanes)
        most = score[is_valid].max(initial=-(1 << 31))
        e = np.where(is_valid, exp2_neg(np.maximum(most - score, 0)), 0)
        weight = np.where(is_valid, apply_scale(e, value_scale, WEIGHT_FRACTION_BITS - EXP2_ONE_BITS), 0)
        inverse, (mantissa, exponent) = quantize_inverse(weight.max())
        total = normalize(e.sum())
        over_mantissa, over_exponent = reciprocal(total)
        scale = combine((mantissa, exponent - WEIGHT_FRACTION_BITS), (over_mantissa, over_exponent + EXP2_ONE_BITS))
        codes = np.where(is_valid, np.maximum(quantize_act(weight, inverse), 0), 0)
        rows.write(codes, scale, int((codes * zero).sum()))
    return rows.log()


def kvquant(memories: Memories, config: EngineConfig, instruction: KvQuant) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes, length = config.vector.lanes, instruction.length
    y = _row(memories.result, instruction.source, length, lanes)
    if instruction.kind == CacheKind.KEY:
        y = _rotated(y, _row(memories.parameter, instruction.parameter, length, lanes))
    bits, planes = instruction.cache.bits, instruction.cache.planes
    inverse, (mantissa, exponent), zero = kv_inverse(np.minimum(y.min(), 0), np.maximum(y.max(), 0), bits)
    codes = quantize_kv(y, inverse, zero, bits)
    # KEY: element 32 j + l is code l of part j; VALUE: element l G + j is.
    held = len(codes) // 32
    parts = codes.reshape(held, 32) if instruction.kind == CacheKind.KEY else codes.reshape(32, held).T
    words = (parts[:, None] >> 4 * np.arange(planes)[:, None] & 15).reshape(-1, 32)
    data = (words[:, 0::2] | words[:, 1::2] << 4).astype(np.uint8).reshape(-1)
    memories.pack[instruction.entry] = 0
    memories.pack[instruction.entry, : len(data)] = data
    parameter = int(mantissa) | (int(exponent) - FRACTION_BITS & 0xFF) << 16 | int(zero) << 24
    memories.pack_parameter[instruction.entry] = parameter
    return codes.astype(np.int8).reshape(-1, lanes)
