"""The meaning of the VECTOR instructions, row after row."""

from collections.abc import Iterator

import numpy as np

from hwsim.arch import numerics
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheKind, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from hwsim.machine.meaning.memories import Memories

__all__ = ["kvquant", "norm", "quant", "rope", "softmax", "swiglu"]

_SQUARE_FRACTION = 2 * numerics.FRACTION_BITS - numerics.SQUARE_SHIFT

Scale = tuple[numerics.Array, numerics.Array]


class _Rows:
    """The rows of an instruction: reads them, writes their codes and scales, and collects the codes as its log."""

    def __init__(self, memories: Memories, config: EngineConfig, instruction: Norm | Quant | SwiGlu | Rope | Softmax):
        self.memories, self.lanes, self.instruction = memories, config.vector.lanes, instruction
        self.codes: list[np.ndarray] = []

    def of(self, memory: np.ndarray, start: int, words: int) -> Iterator[np.ndarray]:
        """Yield rows of so many words, the first of them at a word of a memory."""
        return (_row(memory, start + row * self.instruction.stride, words, self.lanes) for row in range(self.instruction.rows))

    def write(self, codes: np.ndarray, scale: Scale, zero_sum: int = 0) -> None:
        row, start = len(self.codes), self.instruction.destination * 64
        self.memories.activation[row, start : start + len(codes)] = codes
        self.memories.write_scale(self.instruction.scale + row, int(scale[0]), int(scale[1]), zero_sum)
        self.codes.append(codes.astype(np.int8).reshape(-1, self.lanes))

    def quantize(self, values: np.ndarray, factor: Scale | None = None) -> None:
        """Write fixed values as 8-bit codes, whose scale may have a factor."""
        inverse, (mantissa, exponent) = numerics.quantize_inverse(np.abs(values).max())
        scale = mantissa, exponent - numerics.FRACTION_BITS
        self.write(numerics.quantize_act(values, inverse), scale if factor is None else numerics.combine(scale, factor))

    def log(self) -> np.ndarray:
        return np.concatenate(self.codes)


def _row(memory: np.ndarray, start: int, words: int, lanes: int) -> np.ndarray:
    return memory[start * lanes : (start + words) * lanes]


def _rotated(values: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return y of ROPE: cosine in the low half, signed sine in the high half of each rotation word."""
    cosine, sine = ((rotation & 0xFFFF) ^ 0x8000) - 0x8000, rotation >> 16
    half = len(values) // 2
    partner = np.concatenate([values[half:], values[:half]])
    return numerics.saturate(numerics.round_shift(values * cosine + partner * sine, numerics.ROPE_BITS), 32)


def norm(memories: Memories, config: EngineConfig, instruction: Norm) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes, length, rows = config.vector.lanes, instruction.length, _Rows(memories, config, instruction)
    gain = _row(memories.parameter, instruction.parameter, length, lanes)
    epsilon, share = (int(value) for value in _row(memories.parameter, instruction.parameter + length, 1, lanes)[:2])
    count = np.int64(share & 0xFFFF), np.int64((share >> 16 & 0xFF ^ 0x80) - 0x80)
    for x in rows.of(memories.residual, instruction.source, length):
        mantissa, exponent = numerics.normalize(numerics.round_shift(x * x, numerics.SQUARE_SHIFT).sum() + epsilon)
        root = numerics.rsqrt(numerics.combine((mantissa, exponent - _SQUARE_FRACTION), count))
        rows.quantize(numerics.saturate(numerics.round_shift(x * gain, instruction.shift), 32), root)
    return rows.log()


def quant(memories: Memories, config: EngineConfig, instruction: Quant) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    rows = _Rows(memories, config, instruction)
    for values in rows.of(memories.result, instruction.source, instruction.length):
        rows.quantize(values)
    return rows.log()


def swiglu(memories: Memories, config: EngineConfig, instruction: SwiGlu) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    rows = _Rows(memories, config, instruction)
    gates, ups = (rows.of(memories.result, start, instruction.length) for start in (instruction.source, instruction.up))
    for gate, up in zip(gates, ups, strict=True):
        rows.quantize(numerics.saturate(numerics.round_shift(numerics.silu(gate) * up, numerics.FRACTION_BITS), 32))
    return rows.log()


def rope(memories: Memories, config: EngineConfig, instruction: Rope) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    length, rows = instruction.length, _Rows(memories, config, instruction)
    rotation = _row(memories.parameter, instruction.parameter, length, config.vector.lanes)
    constant = np.int64(instruction.mantissa), np.int64(instruction.exponent)
    for head in rows.of(memories.result, instruction.source, length):
        rows.quantize(_rotated(head, rotation), constant)
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
    rows = _Rows(memories, config, instruction)
    for score in rows.of(memories.result, instruction.source, words):
        most = score[is_valid].max(initial=-(1 << 31))
        e = np.where(is_valid, numerics.exp2_neg(np.maximum(most - score, 0)), 0)
        weight = np.where(is_valid, numerics.apply_scale(e, value_scale, numerics.WEIGHT_FRACTION_BITS - numerics.EXP2_ONE_BITS), 0)
        inverse, (mantissa, exponent) = numerics.quantize_inverse(weight.max())
        total = numerics.normalize(e.sum())
        over_mantissa, over_exponent = numerics.reciprocal(total)
        scale = numerics.combine(
            (mantissa, exponent - numerics.WEIGHT_FRACTION_BITS), (over_mantissa, over_exponent + numerics.EXP2_ONE_BITS)
        )
        codes = np.where(is_valid, np.maximum(numerics.quantize_act(weight, inverse), 0), 0)
        rows.write(codes, scale, int((codes * zero).sum()))
    return rows.log()


def kvquant(memories: Memories, config: EngineConfig, instruction: KvQuant) -> np.ndarray:
    """Execute; return the codes int8 [words, lanes]."""
    lanes, length = config.vector.lanes, instruction.length
    y = _row(memories.result, instruction.source, length, lanes)
    if instruction.kind == CacheKind.KEY:
        y = _rotated(y, _row(memories.parameter, instruction.parameter, length, lanes))
    bits, planes = instruction.cache.bits, instruction.cache.planes
    inverse, (mantissa, exponent), zero = numerics.kv_inverse(np.minimum(y.min(), 0), np.maximum(y.max(), 0), bits)
    codes = numerics.quantize_kv(y, inverse, zero, bits)
    # KEY: element 32 j + l is code l of part j; VALUE: element l G + j is.
    held = len(codes) // 32
    parts = codes.reshape(held, 32) if instruction.kind == CacheKind.KEY else codes.reshape(32, held).T
    words = (parts[:, None] >> 4 * np.arange(planes)[:, None] & 15).reshape(-1, 32)
    data = (words[:, 0::2] | words[:, 1::2] << 4).astype(np.uint8).reshape(-1)
    memories.pack[instruction.entry] = 0
    memories.pack[instruction.entry, : len(data)] = data
    parameter = int(mantissa) | (int(exponent) - numerics.FRACTION_BITS & 0xFF) << 16 | int(zero) << 24
    memories.pack_parameter[instruction.entry] = parameter
    return codes.astype(np.int8).reshape(-1, lanes)
