"""Knows the compiled loops of the integer reference: a matrix times one vector, and every instruction on many rows.

The row loops are a second statement of models.integer.ops, made for speed; the two must give the same bits.
Arrays are int64 unless said otherwise, one row per token; rows run on several threads.
"""

from __future__ import annotations

import numba
import numpy as np

from hwsim.arch.numerics import EXP2_ONE_BITS, FRACTION_BITS, ROPE_BITS, SQUARE_SHIFT, WEIGHT_FRACTION_BITS
from models.integer import scalar
from models.integer.ops import CODE_FRACTION_BITS

__all__ = ["accumulate", "attend_rows", "kv_rows", "norm_rows", "quantize_rows", "query_rows", "scale_rows", "swiglu_rows"]

_compiled = numba.njit(nogil=True, cache=True, boundscheck=False)
_threaded = numba.njit(parallel=True, cache=True, boundscheck=False)


@_compiled
def accumulate(weights: np.ndarray, codes: np.ndarray, out: np.ndarray) -> None:
    """Set out[r] to the 32-bit accumulator of row r: the sum of weights[r] * codes modulo 2**32.

    weights: int16 [rows, inputs], contiguous.
    codes: int16 [inputs].
    out: int32 [rows].

    One thread: the matrices of a step are too small to repay waking others on a busy machine.
    """
    for row in range(weights.shape[0]):
        total = np.int32(0)
        for index in range(weights.shape[1]):
            total = np.int32(total + np.int32(np.int32(weights[row, index]) * np.int32(codes[index])))
        out[row] = total


@_threaded
def scale_rows(
    accumulated: np.ndarray,
    row_mantissa: np.ndarray,
    row_exponent: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
    out: np.ndarray,
) -> None:
    """DOT: set out to the results of accumulators, float64 [tokens, rows], under row and token scales."""
    for token in numba.prange(accumulated.shape[0]):
        for row in range(accumulated.shape[1]):
            both = scalar.combined(row_mantissa[row], row_exponent[row], mantissa[token], exponent[token])
            out[token, row] = scalar.applied(int(accumulated[token, row]), both[0], both[1], FRACTION_BITS)


@_compiled
def _quantize(values: np.ndarray, codes: np.ndarray) -> tuple[int, int]:
    """Set codes, float64, to those of a vector, and return its scale in fixed units."""
    amax = 0
    for value in values:
        amax = max(amax, abs(value))
    inverse = scalar.inverse_127(amax)
    for index in range(len(values)):
        codes[index] = scalar.code(values[index], inverse[0], inverse[1])
    scale = scalar.scale_127(amax)
    return scale[0], scale[1] - FRACTION_BITS


@_threaded
def quantize_rows(values: np.ndarray, codes: np.ndarray, mantissa: np.ndarray, exponent: np.ndarray) -> None:
    """QUANT: set codes, float64 [tokens, elements], and scales of fixed rows."""
    for token in numba.prange(values.shape[0]):
        mantissa[token], exponent[token] = _quantize(values[token], codes[token])


@_threaded
def norm_rows(
    values: np.ndarray,
    gains: np.ndarray,
    shift: int,
    epsilon: int,
    length_mantissa: int,
    length_exponent: int,
    codes: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
) -> None:
    """NORM: set codes, float64 [tokens, elements], and scales of residual rows."""
    for token in numba.prange(values.shape[0]):
        scaled = np.empty(values.shape[1], np.int64)
        squares = 0
        for index in range(values.shape[1]):
            value = values[token, index]
            scaled[index] = scalar.saturated(scalar.half_up(value * gains[index], shift))
            squares += scalar.half_up(value * value, SQUARE_SHIFT)
        top = scalar.normalized(squares + epsilon)
        mean = scalar.combined(top[0], top[1] + SQUARE_SHIFT - 2 * FRACTION_BITS, length_mantissa, length_exponent)
        root = scalar.inverse_root(mean[0], mean[1])
        scale = _quantize(scaled, codes[token])
        mantissa[token], exponent[token] = scalar.combined(scale[0], scale[1], root[0], root[1])


@_threaded
def swiglu_rows(flat: np.ndarray, codes: np.ndarray, mantissa: np.ndarray, exponent: np.ndarray) -> None:
    """SWIGLU: set codes, float64 [tokens, ffn], and scales of rows of gate, then up."""
    ffn = codes.shape[1]
    for token in numba.prange(flat.shape[0]):
        product = np.empty(ffn, np.int64)
        for index in range(ffn):
            wide = scalar.silu(flat[token, index]) * flat[token, ffn + index]
            product[index] = scalar.saturated(scalar.half_up(wide, FRACTION_BITS))
        mantissa[token], exponent[token] = _quantize(product, codes[token])


@_compiled
def _rotate(head: np.ndarray, rotation: np.ndarray, out: np.ndarray) -> None:
    """Set out to a head turned by a rotation, [elements, 2]."""
    half = len(head) // 2
    for index in range(len(head)):
        partner = head[index + half if index < half else index - half]
        wide = head[index] * rotation[index, 0] + partner * rotation[index, 1]
        out[index] = scalar.saturated(scalar.half_up(wide, ROPE_BITS))


@_threaded
def query_rows(
    heads: np.ndarray,
    rotations: np.ndarray,
    score_mantissa: int,
    score_exponent: int,
    codes: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
) -> None:
    """ROPE: set codes, int16 [tokens, heads, elements], and scales, [tokens, heads], of query heads.

    rotations: [tokens, elements, 2].
    """
    for token in numba.prange(heads.shape[0]):
        turned = np.empty(heads.shape[2], np.int64)
        for head in range(heads.shape[1]):
            _rotate(heads[token, head], rotations[token], turned)
            scale = _quantize(turned, codes[token, head])
            both = scalar.combined(scale[0], scale[1], score_mantissa, score_exponent)
            mantissa[token, head], exponent[token, head] = both


@_threaded
def kv_rows(
    heads: np.ndarray,
    rotations: np.ndarray,
    is_key: bool,
    codes: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
    zero: np.ndarray,
) -> None:
    """KVQUANT: set codes, int16 [kv_heads, tokens, elements], scales and zero points, [kv_heads, tokens].

    heads: [tokens, kv_heads, elements].
    rotations: as for queries; used where `is_key`.
    """
    for token in numba.prange(heads.shape[0]):
        turned = np.empty(heads.shape[2], np.int64)
        for head in range(heads.shape[1]):
            if is_key:
                _rotate(heads[token, head], rotations[token], turned)
            else:
                turned[:] = heads[token, head]
            low, high = 0, 0
            for index in range(len(turned)):
                low, high = min(low, turned[index]), max(high, turned[index])
            inverse = scalar.inverse_15(high - low)
            shift = min(max(scalar.applied(-low, inverse[0], inverse[1], 0), 0), 15)
            for index in range(len(turned)):
                raw = scalar.applied(turned[index], inverse[0], inverse[1], 0) + shift
                codes[head, token, index] = min(max(raw, 0), 15)
            scale = scalar.scale_15(high - low)
            mantissa[head, token], exponent[head, token] = scale[0], scale[1] - FRACTION_BITS
            zero[head, token] = shift


@_threaded
def attend_rows(
    first_position: int,
    sinks: int,
    window: int,
    held: np.ndarray,
    sink_query: np.ndarray,
    sink_mantissa: np.ndarray,
    sink_exponent: np.ndarray,
    query: np.ndarray,
    query_mantissa: np.ndarray,
    query_exponent: np.ndarray,
    key: np.ndarray,
    key_mantissa: np.ndarray,
    key_exponent: np.ndarray,
    key_zero: np.ndarray,
    value: np.ndarray,
    value_mantissa: np.ndarray,
    value_exponent: np.ndarray,
    value_zero: np.ndarray,
    out: np.ndarray,
) -> None:
    """DOT, SOFTMAX and AXPY of every head: set out, [tokens, heads, elements], to what the queries read.

    first_position: of the first token.
    held: positions of the keys, ascending: those of the cache, then the tokens' own.
    sink_query, query: codes, int16 [tokens, heads, elements], with scales [tokens, heads].
    key, value: codes, int16 [kv_heads, held, elements], with scales and zero points [kv_heads, held].
    """
    tokens, heads, width = query.shape
    group = heads // key.shape[0]
    for token in numba.prange(tokens):
        position = first_position + token
        scores = np.empty(len(held), np.int64)
        weights = np.empty(len(held), np.int64)
        read = np.empty(len(held), np.int64)
        sums = np.empty(width, np.int64)
        count = 0
        for index in range(len(held)):
            if held[index] <= position and (held[index] < sinks or held[index] > position - window):
                read[count] = index
                count += 1
        for head in range(heads):
            own = head // group
            top = -(1 << 31)
            for slot in range(count):
                index = read[slot]
                is_sink = held[index] < sinks
                codes = sink_query[token, head] if is_sink else query[token, head]
                products, total = np.int32(0), np.int32(0)
                for element in range(width):
                    products += np.int32(np.int32(codes[element]) * np.int32(key[own, index, element]))
                    total += np.int32(codes[element])
                both = scalar.combined(
                    key_mantissa[own, index],
                    key_exponent[own, index],
                    sink_mantissa[token, head] if is_sink else query_mantissa[token, head],
                    sink_exponent[token, head] if is_sink else query_exponent[token, head],
                )
                accumulated = int(products) - key_zero[own, index] * int(total)
                scores[slot] = scalar.applied(accumulated, both[0], both[1], FRACTION_BITS)
                top = max(top, scores[slot])
            total_weight, largest = 0, 0
            for slot in range(count):
                index = read[slot]
                raised = scalar.exp2_neg(top - scores[slot])
                total_weight += raised
                weights[slot] = scalar.applied(raised, value_mantissa[own, index], value_exponent[own, index], CODE_FRACTION_BITS)
                largest = max(largest, weights[slot])
            inverse = scalar.inverse_127(largest)
            zero_sum = 0
            sums[:] = 0
            for slot in range(count):
                index = read[slot]
                coefficient = max(scalar.code(weights[slot], inverse[0], inverse[1]), 0)
                zero_sum += coefficient * value_zero[own, index]
                for element in range(width):
                    sums[element] += coefficient * value[own, index, element]
            scale = scalar.scale_127(largest)
            share = scalar.normalized(total_weight)
            share = scalar.reciprocal(share[0], share[1])
            both = scalar.combined(scale[0], scale[1] - WEIGHT_FRACTION_BITS, share[0], share[1] + EXP2_ONE_BITS)
            for element in range(width):
                wrapped = ((sums[element] - zero_sum + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
                out[token, head, element] = scalar.applied(wrapped, both[0], both[1], FRACTION_BITS)
