"""The meaning of every vector instruction, as array code over any leading axes (docs/engine.md, section 5).

Values are int64 arrays, elements along the last axis. A scale is (mantissa, exponent) without
that axis. Codes come back as int64.
"""

from typing import NamedTuple

import numpy as np

from hwsim.arch import numerics
from hwsim.arch.numerics import EXP2_ONE_BITS, FRACTION_BITS, ROPE_BITS, SQUARE_SHIFT, WEIGHT_FRACTION_BITS, Array
from models.integer.constants import HEAD_SCALE, HEAD_UNIT

__all__ = [
    "CODE_FRACTION_BITS",
    "Coefficients",
    "KvEntry",
    "Quantized",
    "Scale",
    "dot",
    "kv_quantize",
    "norm",
    "norm_heads",
    "quantize",
    "rotate",
    "rotate_query",
    "softmax",
    "swiglu",
    "weighted_sum",
]

Scale = tuple[Array, Array]

CODE_FRACTION_BITS = 5
"""Fraction bits that a softmax weight gains on top of its 15 when it takes the value scale."""


class Quantized(NamedTuple):
    """8-bit activations: codes -127 .. 127, [..., elements], and the scale of each vector, [...]."""

    codes: Array
    scale: Scale


class KvEntry(NamedTuple):
    """A key or value head in the cache: codes 0 .. 15 or 0 .. 255, [..., elements], and scale and zero point, [...]."""

    codes: Array
    scale: Scale
    zero: Array


class Coefficients(NamedTuple):
    """A softmax row: codes 0 .. 127, [..., tokens], their scale and their zero-point sum, [...]."""

    codes: Array
    scale: Scale
    zero_sum: Array


def _spread(scale: Scale) -> Scale:
    return scale[0][..., None], scale[1][..., None]


def _shifted(scale: Scale, bits: int) -> Scale:
    return scale[0], scale[1] + bits


def _amax(x: Array) -> Array:
    """Return the largest magnitude of each vector; that of -2**31 is 2**31."""
    return abs(x).max(-1)


def quantize(values: Array) -> Quantized:
    """QUANT: return fixed values as 8-bit codes under the scale of their largest magnitude."""
    inverse, scale = numerics.quantize_inverse(_amax(values))
    return Quantized(numerics.quantize_act(values, _spread(inverse)), _shifted(scale, -FRACTION_BITS))


def norm(values: Array, gains: Array, shift: int, epsilon: int, inverse_length: tuple[int, int]) -> Quantized:
    """NORM: return residual rows normalized by their root mean square, times gains / 2**shift, as 8-bit codes.

    gains: int64 [elements].
    epsilon, inverse_length: see models.integer.constants.
    """
    scaled = numerics.saturate(numerics.round_shift(values * gains, shift), 32)
    squares = numerics.round_shift(values * values, SQUARE_SHIFT).sum(-1)
    mean = numerics.combine(_shifted(numerics.normalize(squares + epsilon), SQUARE_SHIFT - 2 * FRACTION_BITS), inverse_length)
    quantized = quantize(scaled)
    return Quantized(quantized.codes, numerics.combine(quantized.scale, numerics.rsqrt(mean)))


def norm_heads(values: Array, gains: Array, shift: int, epsilon: int, inverse_length: tuple[int, int]) -> tuple[Quantized, Array]:
    """NORM, then DOT with the identity: return the codes of normalized heads, and the fixed values that they become again.

    The arguments are those of `norm`, of fixed heads [..., head_dim].
    """
    normed = norm(values, gains, shift, epsilon, inverse_length)
    return normed, dot(normed.codes * HEAD_UNIT, HEAD_SCALE, _spread(normed.scale))


def swiglu(gate: Array, up: Array) -> Quantized:
    """SWIGLU: return silu(gate) * up as 8-bit codes."""
    return quantize(numerics.saturate(numerics.round_shift(numerics.silu(gate) * up, FRACTION_BITS), 32))


def rotate(values: Array, rotation: Array) -> Array:
    """Return fixed heads turned by a rotation, [..., elements, 2] as models.integer.constants.rope_table gives it."""
    half = values.shape[-1] // 2
    partner = np.concatenate([values[..., half:], values[..., :half]], axis=-1)
    return numerics.saturate(numerics.round_shift(values * rotation[..., 0] + partner * rotation[..., 1], ROPE_BITS), 32)


def rotate_query(values: Array, rotation: Array, score_scale: tuple[int, int]) -> Quantized:
    """ROPE: return rotated query heads as 8-bit codes whose scale includes the score constant."""
    quantized = quantize(rotate(values, rotation))
    return Quantized(quantized.codes, numerics.combine(quantized.scale, score_scale))


def kv_quantize(values: Array, bits: int) -> KvEntry:
    """KVQUANT after any rotation: return fixed heads as codes of so many bits with scale and zero point."""
    inverse, scale, zero = numerics.kv_inverse(values.min(-1).clip(None, 0), values.max(-1).clip(0, None), bits)
    codes = numerics.quantize_kv(values, _spread(inverse), zero[..., None], bits)
    return KvEntry(codes, _shifted(scale, -FRACTION_BITS), zero)


def dot(accumulated: Array, row_scale: Scale, activation_scale: Scale) -> Array:
    """Return the fixed results of row accumulators; the two scales broadcast to `accumulated`."""
    return numerics.apply_scale(accumulated, numerics.combine(row_scale, activation_scale))


def softmax(scores: Array, valid: Array, value_scale: Scale, value_zero: Array) -> Coefficients:
    """SOFTMAX: return the coefficients of score rows, in units of log2, under the scales of the values they will weigh.

    valid: booleans that broadcast to the scores; every row has one valid score at least.
    value_scale, value_zero: scales and zero points of the tokens' values, broadcast to the scores.
    """
    top = np.where(valid, scores, -(1 << 31)).max(-1)
    distance = np.where(valid, top[..., None] - scores, 0)
    exponential = numerics.exp2_neg(distance) * valid
    total = exponential.sum(-1)
    weight = numerics.apply_scale(exponential, value_scale, CODE_FRACTION_BITS)
    inverse, scale = numerics.quantize_inverse(weight.max(-1))
    codes = numerics.quantize_act(weight, _spread(inverse))
    share = _shifted(numerics.reciprocal(numerics.normalize(total)), EXP2_ONE_BITS)
    return Coefficients(codes, numerics.combine(_shifted(scale, -WEIGHT_FRACTION_BITS), share), (codes * value_zero).sum(-1))


def weighted_sum(accumulated: Array, coefficients: Coefficients) -> Array:
    """AXPY after the last beat: return fixed values, [..., elements], of sums of coefficient times value code."""
    return numerics.apply_scale(numerics.wrap32(accumulated - coefficients.zero_sum[..., None]), _spread(coefficients.scale))
