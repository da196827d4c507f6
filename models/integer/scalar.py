"""The engine's arithmetic one integer at a time, for compiled loops; it must equal hwsim.arch.numerics."""

from hwsim.arch import numerics
from hwsim.arch.numerics import ACT_LIMIT, FRACTION_BITS, ONE_OVER_127, SILU_BITS, TIMES_127
from hwsim.compiled import compiled

__all__ = [
    "applied",
    "cache_limit",
    "code",
    "combined",
    "exp2_neg",
    "half_up",
    "inverse_127",
    "inverse_cache",
    "inverse_root",
    "normalized",
    "reciprocal",
    "saturated",
    "scale_127",
    "scale_cache",
    "silu",
]

_LOW, _HIGH = -(1 << 31), (1 << 31) - 1
_SHIFT_LIMIT = 48
_EXP2_VALUE, _EXP2_DROP = numerics.exp2_table()
_SIGMOID_VALUE, _SIGMOID_RISE = numerics.sigmoid_table()
_SIGMOID_LIMIT = (16 << FRACTION_BITS) - 1


@compiled
def half_up(x: int, shift: int) -> int:
    """Return x / 2**shift rounded half up."""
    return (x + ((1 << shift) >> 1)) >> shift


@compiled
def saturated(x: int) -> int:
    """Return x clamped to a signed 32-bit integer."""
    return min(max(x, _LOW), _HIGH)


@compiled
def normalized(x: int) -> tuple[int, int]:
    """Return the scale of a non-negative integer."""
    if x == 0:
        return 0, 0
    length = 0
    rest = x
    while rest > 0:
        rest >>= 1
        length += 1
    return (x >> (length - 16) if length > 16 else x << (16 - length)), length - 16


@compiled
def combined(mantissa: int, exponent: int, other_mantissa: int, other_exponent: int) -> tuple[int, int]:
    """Return the product of two scales."""
    # Without a branch, so that loops over it become vector instructions.
    product = mantissa * other_mantissa
    shift = 15 + (product >> 31)
    return product >> shift, exponent + other_exponent + shift


@compiled
def reciprocal(mantissa: int, exponent: int) -> tuple[int, int]:
    """Return the inverse of a scale."""
    return (65535 if mantissa == 0 else _HIGH // mantissa), -31 - exponent


@compiled
def inverse_root(mantissa: int, exponent: int) -> tuple[int, int]:
    """Return a scale to the power -1/2."""
    odd = exponent & 1
    square = mantissa << (16 - odd)
    root = 0
    for bit in range(15, -1, -1):
        trial = root + (1 << bit)
        if trial * trial <= square:
            root = trial
    return reciprocal(root, (exponent - 16 + odd) >> 1)


@compiled
def applied(x: int, mantissa: int, exponent: int, fraction_bits: int) -> int:
    """Return x times a scale, with so many fraction bits, saturated."""
    shift = min(max(-(exponent + fraction_bits), 0), _SHIFT_LIMIT)
    return saturated(half_up(x * mantissa, shift))


@compiled
def inverse_127(amax: int) -> tuple[int, int]:
    """Return 127 / amax as a scale."""
    mantissa, exponent = normalized(amax)
    mantissa, exponent = reciprocal(mantissa, exponent)
    return combined(mantissa, exponent, TIMES_127[0], TIMES_127[1])


@compiled
def scale_127(amax: int) -> tuple[int, int]:
    """Return amax / 127 as a scale."""
    mantissa, exponent = normalized(amax)
    return combined(mantissa, exponent, ONE_OVER_127[0], ONE_OVER_127[1])


cache_limit = compiled(numerics.kv_limit)
_cache_factors = compiled(numerics.kv_factors)


@compiled
def inverse_cache(span: int, bits: int) -> tuple[int, int]:
    """Return the largest code of so many bits, over span, as a scale."""
    mantissa, exponent = normalized(span)
    mantissa, exponent = reciprocal(mantissa, exponent)
    times, _ = _cache_factors(bits)
    return combined(mantissa, exponent, times[0], times[1])


@compiled
def scale_cache(span: int, bits: int) -> tuple[int, int]:
    """Return span over the largest code of so many bits as a scale."""
    mantissa, exponent = normalized(span)
    _, over = _cache_factors(bits)
    return combined(mantissa, exponent, over[0], over[1])


@compiled
def code(x: int, mantissa: int, exponent: int) -> int:
    """Return the 8-bit code of x under an inverse scale."""
    return min(max(applied(x, mantissa, exponent, 0), -ACT_LIMIT), ACT_LIMIT)


@compiled
def exp2_neg(distance: int) -> int:
    """Return 2**-distance in units of 2**-15, for a fixed distance >= 0."""
    whole = min(distance >> FRACTION_BITS, 31)
    fraction = distance & 0xFFFF
    index = fraction >> 10
    value = _EXP2_VALUE[index] - ((_EXP2_DROP[index] * (fraction & 1023)) >> 10)
    return half_up(value, whole)


@compiled
def silu(x: int) -> int:
    """Return x times its logistic function, for fixed x."""
    magnitude = min(abs(x), _SIGMOID_LIMIT)
    index = magnitude >> 12
    value = _SIGMOID_VALUE[index] + ((_SIGMOID_RISE[index] * (magnitude & 4095)) >> 12)
    return half_up(x * ((1 << SILU_BITS) - value if x < 0 else value), SILU_BITS)
