"""The one integer arithmetic of the engine, as array code that runs on NumPy and on PyTorch tensors.

Every value is an integer. A *fixed* value is a signed 32-bit integer with `FRACTION_BITS` fraction bits. A *scale* is
a pair (mantissa, exponent) that stands for mantissa * 2**exponent; a non-zero mantissa is normalized to 16 bits
(32768 .. 65535), zero stands for zero. Arrays are int64 throughout, so no intermediate below overflows; the widths
that hardware needs are in the docstrings. Reference, simulator and RTL agree with these functions bit for bit.
"""

import math
from typing import Any

import numpy as np

__all__ = [
    "ACT_LIMIT",
    "EXP2_ONE_BITS",
    "FIXED_LIMIT",
    "FRACTION_BITS",
    "NORM_SHIFT",
    "ONE_FIFTEENTH",
    "ONE_OVER_127",
    "ONE_OVER_255",
    "ROPE_BITS",
    "SILU_BITS",
    "SQUARE_SHIFT",
    "WEIGHT_FRACTION_BITS",
    "Array",
    "apply_scale",
    "combine",
    "exp2_neg",
    "exp2_table",
    "isqrt32",
    "kv_factors",
    "kv_inverse",
    "kv_limit",
    "normalize",
    "quantize_act",
    "quantize_inverse",
    "quantize_kv",
    "reciprocal",
    "round_shift",
    "rsqrt",
    "saturate",
    "scale_from_float",
    "score_scale",
    "sigmoid",
    "sigmoid_table",
    "silu",
    "to_fixed",
    "wrap32",
]

Array = Any  # a NumPy int64 array or a torch int64 tensor; both obey the same operators

FRACTION_BITS = 16
"""Fraction bits of every fixed value: residual stream, matrix results, scores (in units of log2)."""
FIXED_LIMIT = 1 << (31 - FRACTION_BITS)
"""Magnitude at which fixed values saturate, 32,768."""
ACT_LIMIT = 127
"""Activations are signed 8-bit, symmetric: -127 .. 127."""
ROPE_BITS = 14
"""Fraction bits of the cosine and sine words."""
EXP2_ONE_BITS = 15
"""`exp2_neg(0)` is 2**15."""
SILU_BITS = 15
"""Fraction bits of the sigmoid."""
WEIGHT_FRACTION_BITS = 20
"""Fraction bits of a softmax weight after it took the value scale."""
NORM_SHIFT = 15
"""Right shift of a residual value times a gain in every compiled program: gains fill 15 bits, so nothing saturates."""
SQUARE_SHIFT = 14
"""Squares are summed after a rounding shift by this, so 2**15 saturated values fit 64 bits."""

ONE_OVER_127 = (33026, -22)
"""1/127 as a scale: round(2**22 / 127)."""
TIMES_127 = (65024, -9)
ONE_FIFTEENTH = (34953, -19)
"""1/15 as a scale: round(2**19 / 15)."""
TIMES_15 = (61440, -12)
ONE_OVER_255 = (32897, -23)
"""1/255 as a scale: round(2**23 / 255)."""
TIMES_255 = (65280, -8)

_SHIFT_LIMIT = 48


def _where(condition: Array, yes: Array, no: Array) -> Array:
    """Return `yes` where `condition` holds, else `no`, for either array library."""
    if isinstance(condition, np.ndarray | np.generic | bool):
        return np.where(condition, yes, no)
    import torch

    return torch.where(condition, yes, no)


def _take(table: np.ndarray, index: Array) -> Array:
    if isinstance(index, np.ndarray | np.integer):
        return table[np.asarray(index)]
    import torch

    return torch.from_numpy(table).to(index.device)[index]


def round_shift(x: Array, shift: Array) -> Array:
    """Return floor(x / 2**shift + 1/2) for 0 <= shift <= 62: round half up."""
    one = x * 0 + 1
    return (x + ((one << shift) >> 1)) >> shift


def saturate(x: Array, bits: int) -> Array:
    """Return x clamped to the range of a signed `bits`-bit integer."""
    return x.clip(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def wrap32(x: Array) -> Array:
    """Return x modulo 2**32 as a signed 32-bit value, as the accumulators hold it."""
    return ((x + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _bit_length(x: Array) -> Array:
    """Return the number of bits of each non-negative x below 2**63."""
    length = x * 0
    rest = x
    for step in (32, 16, 8, 4, 2, 1):
        big = rest >= (1 << step)
        length = length + _where(big, x * 0 + step, x * 0)
        rest = _where(big, rest >> step, rest)
    return length + rest


def normalize(x: Array) -> tuple[Array, Array]:
    """Return the scale (mantissa, exponent) of each non-negative integer x below 2**63, truncated; zero gives (0, 0)."""
    length = _bit_length(x)
    zero = x * 0
    down = _where(length > 16, length - 16, zero)
    up = _where(length > 16, zero, 16 - length)
    mantissa = (x >> down) << up
    exponent = _where(x == 0, zero, length - 16)
    return mantissa, exponent


def combine(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the product of two scales, its mantissa truncated to 16 bits; a zero factor gives mantissa zero.

    The exponent of a zero product is the sum of the exponents plus 15, as the circuit computes it.
    """
    product = a[0] * b[0]
    high = product >= (1 << 31)
    mantissa = _where(high, product >> 16, product >> 15)
    exponent = a[1] + b[1] + 15 + _where(high, product * 0 + 1, product * 0)
    return mantissa, exponent


def reciprocal(scale: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return 1/scale: floor((2**31 - 1) / mantissa), always normalized; mantissa zero gives 65535.

    Hardware: 16 quotient bits of a restoring division.
    """
    mantissa, exponent = scale
    safe = _where(mantissa == 0, mantissa * 0 + 1, mantissa)
    quotient = ((1 << 31) - 1) // safe
    return _where(mantissa == 0, mantissa * 0 + 65535, quotient), -31 - exponent


def isqrt32(x: Array) -> Array:
    """Return floor(sqrt(x)) for 0 <= x < 2**32, one result bit at a time as the circuit does."""
    root = x * 0
    for bit in range(15, -1, -1):
        trial = root + (1 << bit)
        root = _where(trial * trial <= x, trial, root)
    return root


def rsqrt(scale: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return scale**-0.5 for a non-zero scale: an integer square root, then `reciprocal`."""
    mantissa, exponent = scale
    odd = exponent & 1
    root = isqrt32(mantissa << (16 - odd))
    return reciprocal((root, (exponent - 16 + odd) >> 1))


def apply_scale(x: Array, scale: tuple[Array, Array], fraction_bits: int = FRACTION_BITS) -> Array:
    """Return x * scale as a saturated signed 32-bit integer with `fraction_bits` fraction bits.

    x is a signed 32-bit integer. The right shift is clamped to 0 .. 48: a scale above 2**-fraction_bits saturates.
    """
    mantissa, exponent = scale
    shift = (-(exponent + fraction_bits)).clip(0, _SHIFT_LIMIT)
    return saturate(round_shift(x * mantissa, shift), 32)


def quantize_inverse(amax: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return (inverse, scale) of an 8-bit quantizer for values up to `amax`: 127/amax and amax/127, as raw integers.

    `scale` is in units of one integer step of the values quantized; add -FRACTION_BITS for fixed values.
    """
    top = normalize(amax)
    return combine(reciprocal(top), TIMES_127), combine(top, ONE_OVER_127)


def quantize_act(x: Array, inverse: tuple[Array, Array]) -> Array:
    """Return the 8-bit codes of fixed or weight values x under `inverse` (from `quantize_inverse`)."""
    return apply_scale(x, inverse, 0).clip(-ACT_LIMIT, ACT_LIMIT)


def kv_limit(bits: int) -> int:
    """Return the largest code of keys and values of so many bits, 4 or 8."""
    return (1 << bits) - 1


def kv_factors(bits: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the largest code as a scale, and its inverse."""
    return (TIMES_255, ONE_OVER_255) if bits == 8 else (TIMES_15, ONE_FIFTEENTH)


def kv_inverse(low: Array, high: Array, bits: int) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
    """Return (inverse, scale, zero) of the asymmetric quantizer to 4 or 8 bits for fixed values low .. high.

    The range always includes zero: callers pass min(values, 0) and max(values, 0). `scale` is in integer steps.
    """
    span = normalize(high - low)
    times, over = kv_factors(bits)
    inverse = combine(reciprocal(span), times)
    zero = apply_scale(-low, inverse, 0).clip(0, kv_limit(bits))
    return inverse, combine(span, over), zero


def quantize_kv(x: Array, inverse: tuple[Array, Array], zero: Array, bits: int) -> Array:
    """Return the codes of fixed values x, 0 .. 15 or 0 .. 255."""
    return (apply_scale(x, inverse, 0) + zero).clip(0, kv_limit(bits))


def exp2_table() -> tuple[np.ndarray, np.ndarray]:
    """Return (value, drop): 64 points of 2**-f in units of 2**-15, and the fall to the next point."""
    points = np.array([round(2.0 ** (EXP2_ONE_BITS - i / 64)) for i in range(65)], dtype=np.int64)
    return points[:64], points[:64] - points[1:]


def sigmoid_table() -> tuple[np.ndarray, np.ndarray]:
    """Return (value, rise): 256 points of the logistic function at i/16 in units of 2**-15, and the rise to the next."""
    points = np.array([round(2**SILU_BITS / (1.0 + math.exp(-i / 16))) for i in range(257)], dtype=np.int64)
    return points[:256], points[1:] - points[:256]


_EXP2_VALUE, _EXP2_DROP = exp2_table()
_SIGMOID_VALUE, _SIGMOID_RISE = sigmoid_table()


def exp2_neg(distance: Array) -> Array:
    """Return 2**-distance in units of 2**-15, for a fixed distance >= 0; zero from 31 up.

    64-entry table, linear in between (relative error below 8.2e-5), then a rounding shift.
    """
    whole = (distance >> FRACTION_BITS).clip(0, 31)
    fraction = distance & 0xFFFF
    index = fraction >> 10
    value = _take(_EXP2_VALUE, index) - ((_take(_EXP2_DROP, index) * (fraction & 1023)) >> 10)
    return round_shift(value, whole)


def sigmoid(x: Array) -> Array:
    """Return the logistic function of fixed x in units of 2**-15; 256-entry table over |x| < 16, linear in between."""
    magnitude = _where(x < 0, -x, x).clip(0, (16 << FRACTION_BITS) - 1)
    index = magnitude >> 12
    value = _take(_SIGMOID_VALUE, index) + ((_take(_SIGMOID_RISE, index) * (magnitude & 4095)) >> 12)
    return _where(x < 0, (1 << SILU_BITS) - value, value)


def silu(x: Array) -> Array:
    """Return x * sigmoid(x) for fixed x."""
    return round_shift(x * sigmoid(x), SILU_BITS)


def scale_from_float(value: float) -> tuple[int, int]:
    """Return the nearest normalized scale of a positive finite float; exponent within -128 .. 127.

    Raises:
        ValueError: the value is negative, not finite, or its exponent does not fit 8 bits.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"Scale must be finite and not negative, not {value!r}")
    if value == 0:
        return 0, 0
    fraction, exponent = math.frexp(value)
    mantissa, exponent = round(fraction * 65536), exponent - 16
    if mantissa == 65536:
        mantissa, exponent = 32768, exponent + 1
    if not -128 <= exponent <= 127:
        raise ValueError(f"Scale exponent must fit 8 bits, not {exponent}")
    return mantissa, exponent


def score_scale(head_dim: int) -> tuple[int, int]:
    """Return log2(e) / sqrt(head_dim) as the scale that ROPE joins to a query's: scores come out in units of log2."""
    return scale_from_float(math.log2(math.e) / math.sqrt(head_dim))


def to_fixed(values: np.ndarray) -> np.ndarray:
    """Return floats as fixed values: round half up, saturated to 32 bits."""
    rounded = np.floor(np.asarray(values, dtype=np.float64) * (1 << FRACTION_BITS) + 0.5)
    return np.clip(rounded, -(1 << 31), (1 << 31) - 1).astype(np.int64)
