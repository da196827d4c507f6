"""The compiled loops of the integer reference: a matrix times one vector, and every instruction on many rows.

The row loops are a second statement of models.integer.ops, made for speed; the two must give the same bits.
Arrays are int64 unless said otherwise, one row per token. No loop holds the interpreter's lock: threads may share the rows.
"""

from typing import NamedTuple, Self

import numpy as np

from hwsim.arch.numerics import EXP2_ONE_BITS, FRACTION_BITS, ONE_OVER_127, ROPE_BITS, SQUARE_SHIFT, TIMES_127, WEIGHT_FRACTION_BITS
from hwsim.compiled import compiled
from models.integer import scalar
from models.integer.ops import CODE_FRACTION_BITS

__all__ = [
    "Cached",
    "Rows",
    "accumulate",
    "attend_rows",
    "kv_rows",
    "norm_rows",
    "quantize_rows",
    "query_rows",
    "scale_rows",
    "swiglu_rows",
]


class Rows(NamedTuple):
    """Quantized vectors of many tokens: codes with the tokens first, and one scale each."""

    codes: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: type = np.int8) -> Self:
        """Return room for codes of this shape, the last axis being the elements."""
        return cls(np.empty(shape, dtype), np.empty(shape[:-1], np.int64), np.empty(shape[:-1], np.int64))

    def part(self, tokens: slice) -> "Rows":
        """Return the rows of some tokens, without a copy."""
        return Rows(self.codes[tokens], self.mantissa[tokens], self.exponent[tokens])


class Cached(NamedTuple):
    """Keys or values of a layer, int16 codes [..., head_dim] and the rest [...].

    New ones have the tokens first, [tokens, kv_heads]; those that are read have the heads first, [kv_heads, tokens].
    """

    codes: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray
    zero: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """Return room for codes of this shape, the last axis being the elements."""
        return cls(np.empty(shape, np.int16), *(np.empty(shape[:-1], np.int64) for _ in range(3)))

    def part(self, tokens: slice) -> "Cached":
        """Return the entries of some tokens, without a copy."""
        return Cached(*(part[tokens] for part in self))


@compiled
def accumulate(weights: np.ndarray, codes: np.ndarray, out: np.ndarray) -> None:
    """Set out[r] to the 32-bit accumulator of row r: the sum of weights[r] * codes modulo 2**32.

    weights: int16 [rows, inputs], contiguous.
    codes: int16 [inputs].
    out: int32 [rows].
    """
    for row in range(weights.shape[0]):
        total = np.int32(0)
        for index in range(weights.shape[1]):
            total = np.int32(total + np.int32(np.int32(weights[row, index]) * np.int32(codes[index])))
        out[row] = total


@compiled
def scale_rows(
    accumulated: np.ndarray,
    row_mantissa: np.ndarray,
    row_exponent: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
    first: int,
    out: np.ndarray,
) -> None:
    """DOT: set columns first, first + 1, ... of out to the results of accumulators, int32 [tokens, rows], under two scales.

    row_mantissa, row_exponent: scales of the rows, [rows].
    mantissa, exponent: scales of the tokens, [tokens].
    out: int32 or int64 [tokens, columns].
    """
    rows = accumulated.shape[1]
    for token in range(accumulated.shape[0]):
        line, results = accumulated[token], out[token, first : first + rows]
        for row in range(rows):
            both = scalar.combined((row_mantissa[row], row_exponent[row]), (mantissa[token], exponent[token]))
            results[row] = scalar.applied(int(line[row]), both, FRACTION_BITS)


@compiled
def _quantize(values: np.ndarray, codes: np.ndarray) -> tuple[int, int]:
    """Set codes to those of a vector, and return its scale in fixed units."""
    amax = 0
    for value in values:
        amax = max(amax, abs(value))
    inverse, scale = scalar.quantizer(amax, TIMES_127, ONE_OVER_127)
    for index in range(len(values)):
        codes[index] = scalar.code(values[index], inverse)
    return scale[0], scale[1] - FRACTION_BITS


@compiled
def quantize_rows(values: np.ndarray, out: Rows) -> None:
    """QUANT: set out to fixed rows, [tokens, elements]."""
    for token in range(values.shape[0]):
        out.mantissa[token], out.exponent[token] = _quantize(values[token], out.codes[token])


@compiled
def norm_rows(
    values: np.ndarray, gains: np.ndarray, shift: int, epsilon: int, length_mantissa: int, length_exponent: int, out: Rows
) -> None:
    """NORM: set out to residual rows, [tokens, elements], normalized."""
    for token in range(values.shape[0]):
        scaled = np.empty(values.shape[1], np.int64)
        squares = 0
        for index in range(values.shape[1]):
            value = values[token, index]
            scaled[index] = scalar.saturated(scalar.half_up(value * gains[index], shift))
            squares += scalar.half_up(value * value, SQUARE_SHIFT)
        top = scalar.normalized(squares + epsilon)
        mean = scalar.combined((top[0], top[1] + SQUARE_SHIFT - 2 * FRACTION_BITS), (length_mantissa, length_exponent))
        scale = _quantize(scaled, out.codes[token])
        out.mantissa[token], out.exponent[token] = scalar.combined(scale, scalar.inverse_root(mean))


@compiled
def swiglu_rows(flat: np.ndarray, out: Rows) -> None:
    """SWIGLU: set out, [tokens, ffn], to rows of gate, then up."""
    ffn = out.codes.shape[1]
    for token in range(flat.shape[0]):
        product = np.empty(ffn, np.int64)
        for index in range(ffn):
            wide = scalar.silu(flat[token, index]) * flat[token, ffn + index]
            product[index] = scalar.saturated(scalar.half_up(wide, FRACTION_BITS))
        out.mantissa[token], out.exponent[token] = _quantize(product, out.codes[token])


@compiled
def _rotate(head: np.ndarray, rotation: np.ndarray, out: np.ndarray) -> None:
    """Set out to a head turned by a rotation, [elements, 2]."""
    half = len(head) // 2
    for index in range(len(head)):
        partner = head[index + half if index < half else index - half]
        wide = head[index] * rotation[index, 0] + partner * rotation[index, 1]
        out[index] = scalar.saturated(scalar.half_up(wide, ROPE_BITS))


@compiled
def query_rows(heads: np.ndarray, rotations: np.ndarray, score_mantissa: int, score_exponent: int, out: Rows) -> None:
    """ROPE: set out to query heads, [tokens, heads, elements], turned.

    rotations: [tokens, elements, 2].
    """
    for token in range(heads.shape[0]):
        turned = np.empty(heads.shape[2], np.int64)
        for head in range(heads.shape[1]):
            _rotate(heads[token, head], rotations[token], turned)
            scale = _quantize(turned, out.codes[token, head])
            out.mantissa[token, head], out.exponent[token, head] = scalar.combined(scale, (score_mantissa, score_exponent))


@compiled
def kv_rows(heads: np.ndarray, rotations: np.ndarray, is_key: bool, bits: int, out: Cached) -> None:
    """KVQUANT: set out to heads, [tokens, kv_heads, elements].

    rotations: as in `query_rows`; used where `is_key`.
    bits: width of a code.
    """
    limit = scalar.cache_limit(bits)
    times, over = scalar.cache_factors(bits)
    for token in range(heads.shape[0]):
        turned = np.empty(heads.shape[2], np.int64)
        for head in range(heads.shape[1]):
            if is_key:
                _rotate(heads[token, head], rotations[token], turned)
            else:
                turned[:] = heads[token, head]
            low, high = 0, 0
            for index in range(len(turned)):
                low, high = min(low, turned[index]), max(high, turned[index])
            inverse, scale = scalar.quantizer(high - low, times, over)
            shift = min(max(scalar.applied(-low, inverse, 0), 0), limit)
            for index in range(len(turned)):
                raw = scalar.applied(turned[index], inverse, 0) + shift
                out.codes[token, head, index] = min(max(raw, 0), limit)
            out.mantissa[token, head], out.exponent[token, head] = scale[0], scale[1] - FRACTION_BITS
            out.zero[token, head] = shift


@compiled
def attend_rows(
    first_position: int,
    sinks: int,
    window: int,
    held: np.ndarray,
    sink_query: Rows,
    query: Rows,
    key: Cached,
    value: Cached,
    out: np.ndarray,
) -> None:
    """DOT, SOFTMAX and AXPY of every head: set out, [tokens, heads, elements], to what the queries read.

    first_position: position of the first token.
    held: positions of the keys: sinks, then consecutive recent ones up to the last token's own.
    sink_query, query: codes, int16 [tokens, heads, elements], with scales [tokens, heads].
    key, value: codes [kv_heads, held, elements], with scales and zero points [kv_heads, held].
    """
    tokens, heads, width = query.codes.shape
    group = heads // key.codes.shape[0]
    present = 0
    while present < len(held) and held[present] < sinks:
        present += 1
    for token in range(tokens):
        position = first_position + token
        # The keys that are read lie in two runs: sinks, 0 .. few - 1, and recent keys, start .. stop - 1.
        few = min(present, position + 1)
        oldest = held[present] if present < len(held) else 0
        start = present + max(position - window + 1 - oldest, 0)
        stop = max(present + position + 1 - oldest, start) if position >= sinks else start
        count = few + stop - start
        scores = np.empty(count, np.int64)
        weights = np.empty(count, np.int64)
        sums = np.empty(width, np.int32)
        for head in range(heads):
            own = head // group
            _scores(sink_query, token, head, key, own, 0, scores[:few])
            _scores(query, token, head, key, own, start, scores[few:])
            top = scores.max()
            early = _weights(top, scores[:few], value, own, 0, weights[:few])
            late = _weights(top, scores[few:], value, own, start, weights[few:])
            inverse, scale = scalar.quantizer(weights.max(), TIMES_127, ONE_OVER_127)
            for slot in range(count):
                weights[slot] = scalar.code(weights[slot], inverse)
            sums[:] = 0
            zero_sum = _mix(weights[:few], value, own, 0, sums)
            zero_sum += _mix(weights[few:], value, own, start, sums)
            share = scalar.reciprocal(scalar.normalized(early + late))
            both = scalar.combined((scale[0], scale[1] - WEIGHT_FRACTION_BITS), (share[0], share[1] + EXP2_ONE_BITS))
            for element in range(width):
                wrapped = ((int(sums[element]) - zero_sum + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
                out[token, head, element] = scalar.applied(wrapped, both, FRACTION_BITS)


@compiled
def _scores(query: Rows, token: int, head: int, key: Cached, own: int, first: int, scores: np.ndarray) -> None:
    """Set scores to the products of one query with consecutive keys of the head `own`, the first of them `first`."""
    codes, keys, zero = query.codes[token, head], key.codes[own, first:], key.zero[own, first:]
    key_mantissa, key_exponent = key.mantissa[own, first:], key.exponent[own, first:]
    total = 0
    for code in codes:
        total += int(code)
    for index in range(len(scores)):
        products = np.int32(0)
        for element in range(len(codes)):
            products = np.int32(products + np.int32(np.int32(codes[element]) * np.int32(keys[index, element])))
        scores[index] = int(products)
    scale = query.mantissa[token, head], query.exponent[token, head]
    for index in range(len(scores)):
        both = scalar.combined((key_mantissa[index], key_exponent[index]), scale)
        scores[index] = scalar.applied(scores[index] - zero[index] * total, both, FRACTION_BITS)


@compiled
def _weights(top: int, scores: np.ndarray, value: Cached, own: int, first: int, weights: np.ndarray) -> int:
    """Set weights to powers of two of the scores below `top` times the scales of the values; return the powers' sum."""
    mantissa, exponent = value.mantissa[own, first:], value.exponent[own, first:]
    total = 0
    for index in range(len(scores)):
        raised = scalar.exp2_neg(top - scores[index])
        total += raised
        weights[index] = scalar.applied(raised, (mantissa[index], exponent[index]), CODE_FRACTION_BITS)
    return total


@compiled
def _mix(coefficients: np.ndarray, value: Cached, own: int, first: int, sums: np.ndarray) -> int:
    """Add values times their coefficients to sums, [elements]; return the coefficients' sum over the zero points."""
    values, zero = value.codes[own, first:], value.zero[own, first:]
    zero_sum = 0
    for index in range(len(coefficients)):
        coefficient = np.int32(coefficients[index])
        zero_sum += coefficients[index] * zero[index]
        for element in range(len(sums)):
            sums[element] = np.int32(sums[element] + np.int32(coefficient * np.int32(values[index, element])))
    return zero_sum
