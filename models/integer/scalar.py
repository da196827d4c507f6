"""The engine's arithmetic one integer at a time, for compiled loops; it must equal hwsim.arch.numerics."""

from hwsim.arch import numerics
from hwsim.arch.numerics import ACT_LIMIT, FRACTION_BITS, SILU_BITS
from hwsim.compiled import compiled

__all__ = [
    "applied",
    "cache_factors",
    "cache_limit",
    "code",
    "combined",
    "exp2_neg",
    "half_up",
    "inverse_root",
    "normalized",
    "quantizer",
    "reciprocal",
    "saturated",
    "silu",
]

_Scale = tuple[int, int]

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
def normalized(x: int) -> _Scale:
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
def combined(left: _Scale, right: _Scale) -> _Scale:
    """Return the product of two scales."""
    # Without a branch, so that loops over it become vector instructions.
    product = left[0] * right[0]
    shift = 15 + (product >> 31)
    return product >> shift, left[1] + right[1] + shift


@compiled
def reciprocal(scale: _Scale) -> _Scale:
    """Return the inverse of a scale."""
    return (65535 if scale[0] == 0 else _HIGH // scale[0]), -31 - scale[1]


@compiled
def inverse_root(scale: _Scale) -> _Scale:
    """Return a scale to the power -1/2."""
    odd = scale[1] & 1
    square = scale[0] << (16 - odd)
    root = 0
    for bit in range(15, -1, -1):
        trial = root + (1 << bit)
        if trial * trial <= square:
            root = trial
    return reciprocal((root, (scale[1] - 16 + odd) >> 1))


@compiled
def applied(x: int, scale: _Scale, fraction_bits: int) -> int:
    """Return x times a scale, with so many fraction bits, saturated."""
    shift = min(max(-(scale[1] + fraction_bits), 0), _SHIFT_LIMIT)
    return saturated(half_up(x * scale[0], shift))


@compiled
def quantizer(top: int, times: _Scale, over: _Scale) -> tuple[_Scale, _Scale]:
    """Return the largest code over `top`, and `top` over the largest code, whose scale and inverse are `times` and `over`."""
    scale = normalized(top)
    return combined(reciprocal(scale), times), combined(scale, over)


cache_limit = compiled(numerics.kv_limit)
cache_factors = compiled(numerics.kv_factors)


@compiled
def code(x: int, inverse: _Scale) -> int:
    """Return the 8-bit code of x under an inverse scale."""
    return min(max(applied(x, inverse, 0), -ACT_LIMIT), ACT_LIMIT)


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
