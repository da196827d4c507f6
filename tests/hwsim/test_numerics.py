"""Laws of the integer arithmetic: the same on NumPy and PyTorch, within stated bounds of real arithmetic."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch import numerics as n

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
INNER_CORNERS = [-65536, -32768, -128, -2, -1, 0, 1, 2, 127, 32767, 65535, 65536]
CORNERS = [INT32_MIN, INT32_MIN + 1, *INNER_CORNERS, INT32_MAX - 1, INT32_MAX]
MANTISSAS = np.arange(1 << 15, 1 << 16, dtype=np.int64)
"""Every normalized mantissa."""

fixed = st.one_of(st.sampled_from(CORNERS), st.integers(INT32_MIN, INT32_MAX))


def operands(rng: np.random.Generator, low: int, high: int, count: int = 4000) -> np.ndarray:
    """Return corner and random values from low to high, of all magnitudes."""
    corners = [value for value in (*CORNERS, low, high) if low <= value <= high]
    uniform = rng.integers(low, high, count // 2, endpoint=True)
    shifted = rng.integers(low, high, count // 2, endpoint=True) >> rng.integers(0, 40, count // 2)
    return np.concatenate([np.array(corners, np.int64), uniform, shifted.clip(low, high)])


def scales(rng: np.random.Generator, count: int, low: int = -60, high: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return scales with mantissas normalized or zero."""
    mantissa = rng.integers(1 << 15, 1 << 16, count)
    mantissa[::17] = 0
    mantissa[1::17] = 1 << 15
    mantissa[2::17] = (1 << 16) - 1
    return mantissa, rng.integers(low, high, count)


def signed_fixed(rng: np.random.Generator) -> tuple[Any, ...]:
    return (operands(rng, INT32_MIN, INT32_MAX),)


def fixed_and_scale(rng: np.random.Generator) -> tuple[Any, ...]:
    x = operands(rng, INT32_MIN, INT32_MAX)
    return x, scales(rng, len(x))


def magnitudes(rng: np.random.Generator) -> tuple[Any, ...]:
    return (operands(rng, 0, 1 << 31),)


def ranges(rng: np.random.Generator) -> tuple[Any, ...]:
    low = operands(rng, INT32_MIN, 0)
    return low, rng.permutation(operands(rng, 0, INT32_MAX))[: len(low)].repeat(2)[: len(low)]


def two_scales(rng: np.random.Generator) -> tuple[Any, ...]:
    return scales(rng, 4000), scales(rng, 4000)


def one_scale(rng: np.random.Generator) -> tuple[Any, ...]:
    return (scales(rng, 4000),)


def nonzero_scale(rng: np.random.Generator) -> tuple[Any, ...]:
    return ((rng.integers(1 << 15, 1 << 16, 4000), rng.integers(-60, 60, 4000)),)


def value_range_and_zero(rng: np.random.Generator) -> tuple[Any, ...]:
    x = operands(rng, INT32_MIN, INT32_MAX)
    return x, scales(rng, len(x)), rng.integers(0, 16, len(x))


FUNCTIONS: list[tuple[Callable[..., Any], Callable[[np.random.Generator], tuple[Any, ...]]]] = [
    (n.wrap32, lambda rng: (operands(rng, -(1 << 62), 1 << 62),)),
    (lambda x: n.saturate(x, 32), lambda rng: (operands(rng, -(1 << 62), 1 << 62),)),
    (lambda x: n.round_shift(x, 14), signed_fixed),
    (n.round_shift, lambda rng: (operands(rng, -(1 << 60), 1 << 60, 4000)[:4000], rng.integers(0, 62, 4000))),
    (n.normalize, lambda rng: (operands(rng, 0, (1 << 63) - 1),)),
    (n.combine, two_scales),
    (n.reciprocal, one_scale),
    (n.isqrt32, lambda rng: (operands(rng, 0, (1 << 32) - 1),)),
    (n.rsqrt, nonzero_scale),
    (n.apply_scale, fixed_and_scale),
    (lambda x, scale: n.apply_scale(x, scale, 0), fixed_and_scale),
    (lambda x, scale: n.apply_scale(x, scale, n.WEIGHT_FRACTION_BITS), fixed_and_scale),
    (n.quantize_inverse, magnitudes),
    (n.quantize_act, fixed_and_scale),
    *((functools.partial(n.kv_inverse, bits=bits), ranges) for bits in (4, 8)),
    *((functools.partial(n.quantize_kv, bits=bits), value_range_and_zero) for bits in (4, 8)),
    (n.exp2_neg, lambda rng: (operands(rng, 0, (1 << 32) - 1),)),
    (n.sigmoid, signed_fixed),
    (n.silu, signed_fixed),
]


def flat(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, tuple) else [value]


def to_torch(value: Any) -> Any:
    return tuple(map(to_torch, value)) if isinstance(value, tuple) else torch.from_numpy(np.ascontiguousarray(value))


@pytest.mark.parametrize(("function", "arguments"), FUNCTIONS)
def test_numpy_equals_torch(
    function: Callable[..., Any], arguments: Callable[[np.random.Generator], tuple[Any, ...]], rng: np.random.Generator
) -> None:
    given_arrays = arguments(rng)
    for one, other in zip(flat(function(*given_arrays)), flat(function(*to_torch(given_arrays))), strict=True):
        assert one.dtype == np.int64
        assert other.dtype == torch.int64
        assert np.array_equal(one, other.numpy())


@given(st.integers(-(1 << 60), 1 << 60), st.integers(0, 62))
def test_round_shift_rounds_half_up(x: int, shift: int) -> None:
    assert n.round_shift(np.int64(x), shift) == (2 * x + (1 << shift)) >> (shift + 1)


@given(st.integers(-(1 << 62), 1 << 62))
def test_wrap_and_saturate(x: int) -> None:
    wrapped = int(n.wrap32(np.int64(x)))
    assert INT32_MIN <= wrapped <= INT32_MAX
    assert (wrapped - x) % (1 << 32) == 0
    assert n.saturate(np.int64(x), 32) == min(max(x, INT32_MIN), INT32_MAX)


@given(st.one_of(st.integers(1, (1 << 63) - 1), st.integers(0, 62).map(lambda bit: 1 << bit)))
def test_normalize_truncates_to_16_bits(x: int) -> None:
    mantissa, exponent = (int(part) for part in n.normalize(np.int64(x)))
    assert 1 << 15 <= mantissa < 1 << 16
    assert exponent == x.bit_length() - 16
    assert mantissa == (x >> exponent if exponent >= 0 else x << -exponent)


def test_normalize_of_zero() -> None:
    assert tuple(map(int, n.normalize(np.int64(0)))) == (0, 0)


def test_combine_truncates_the_product(rng: np.random.Generator) -> None:
    a, b = two_scales(rng)
    mantissa, exponent = n.combine(a, b)
    zero = (a[0] == 0) | (b[0] == 0)
    assert not mantissa[zero].any()
    assert np.array_equal(exponent[zero], (a[1] + b[1] + 15)[zero])
    assert ((mantissa >= 1 << 15) & (mantissa < 1 << 16))[~zero].all()
    # The mantissa is the product's top 16 bits: below it by less than one unit of the last place.
    shift = exponent - a[1] - b[1]
    rest = a[0] * b[0] - (mantissa << shift)
    assert ((rest >= 0) & (rest < 1 << shift))[~zero].all()


def test_reciprocal_of_every_normalized_mantissa() -> None:
    quotient, exponent = n.reciprocal((MANTISSAS, MANTISSAS * 0 + 7))
    assert ((quotient >= 1 << 15) & (quotient < 1 << 16)).all()
    assert (exponent == -38).all()
    assert np.array_equal(quotient, ((1 << 31) - 1) // MANTISSAS)
    # Exact: quotient * mantissa <= 2**31 - 1 < (quotient + 1) * mantissa.
    product = quotient * MANTISSAS
    assert (product < 1 << 31).all()
    assert (product + MANTISSAS >= 1 << 31).all()
    # So 1/scale is met from below within 2**-15, relatively.
    relative = 1.0 - product / 2.0**31
    assert relative.min() > 0.0
    assert relative.max() <= 2.0**-15


def test_reciprocal_of_zero() -> None:
    assert tuple(map(int, n.reciprocal((np.int64(0), np.int64(0))))) == (65535, -31)


@pytest.mark.parametrize("exponent", [-9, -8, 0, 1])
def test_rsqrt_of_every_normalized_mantissa(exponent: int) -> None:
    mantissa, power = n.rsqrt((MANTISSAS, MANTISSAS * 0 + exponent))
    assert ((mantissa >= 1 << 15) & (mantissa < 1 << 16)).all()
    relative = mantissa * 2.0**power * np.sqrt(MANTISSAS * 2.0**exponent) - 1.0
    # Two truncations to 16 bits: the root may be low by 2**-15, its reciprocal low by 2**-15.
    assert np.abs(relative).max() < 2.0**-14


@given(st.one_of(st.integers(0, (1 << 32) - 1), st.integers(1, 65535).map(lambda root: root * root - 1)))
def test_isqrt_is_the_floor(x: int) -> None:
    assert n.isqrt32(np.int64(x)) == math.isqrt(x)


@given(fixed, st.integers(1 << 15, (1 << 16) - 1), st.integers(-80, 20), st.sampled_from([0, 5, 16, 20]))
def test_apply_scale_is_the_rounded_product(x: int, mantissa: int, exponent: int, fraction_bits: int) -> None:
    shift = min(max(-(exponent + fraction_bits), 0), 48)
    exact = (2 * x * mantissa + (1 << shift)) >> (shift + 1)
    result = n.apply_scale(np.int64(x), (np.int64(mantissa), np.int64(exponent)), fraction_bits)
    assert result == min(max(exact, INT32_MIN), INT32_MAX)


def test_quantized_activations_use_the_range(rng: np.random.Generator) -> None:
    for width in range(1, 32):
        amax = int(rng.integers(1 << (width - 1), 1 << width))
        x = rng.integers(-amax, amax, 500, endpoint=True)
        x[:2] = amax, -amax
        inverse, (mantissa, exponent) = n.quantize_inverse(np.int64(amax))
        codes = n.quantize_act(x, inverse)
        assert codes[0] == n.ACT_LIMIT
        assert codes[1] >= -n.ACT_LIMIT
        step = float(mantissa) * 2.0 ** float(exponent)
        assert step == pytest.approx(amax / 127, rel=2.0**-14)
        # Half a step of rounding, and what scales of 16 bits lose at the largest values: 127 * 2**-13 steps.
        assert np.abs(codes * step - x).max() <= step * (0.5 + 127 * 2.0**-13)


def test_quantizing_nothing_gives_zero() -> None:
    inverse, scale = n.quantize_inverse(np.int64(0))
    assert n.quantize_act(np.int64(0), inverse) == 0
    assert scale[0] == 0
    for bits in (4, 8):
        kv, scale, zero = n.kv_inverse(np.int64(0), np.int64(0), bits)
        assert (int(scale[0]), int(zero), int(n.quantize_kv(np.int64(0), kv, zero, bits))) == (0, 0, 0)


@pytest.mark.parametrize(("bits", "top"), [(4, 15), (8, 255)])
def test_quantized_cache_values_stay_within_a_step(rng: np.random.Generator, bits: int, top: int) -> None:
    for width in range(5, 31):
        low, high = -int(rng.integers(0, 1 << width)), int(rng.integers(1, 1 << width))
        x = rng.integers(low, high, 500, endpoint=True)
        x[:3] = low, high, 0
        inverse, (mantissa, exponent), zero = n.kv_inverse(np.int64(low), np.int64(high), bits)
        codes = n.quantize_kv(x, inverse, zero, bits)
        assert codes.min() >= 0
        assert codes.max() <= top
        # Zero is met exactly: an empty lane adds nothing.
        assert codes[2] == zero
        step = float(mantissa) * 2.0 ** float(exponent)
        assert step == pytest.approx((high - low) / top, rel=2.0**-14)
        # A value is rounded, and so is the zero point that may cut the end of the range off.
        assert np.abs((codes - zero) * step - x).max() <= step * (1.0 + top * 2.0**-13)


def test_exp2_is_within_its_bound() -> None:
    distance = np.arange(0, 8 << n.FRACTION_BITS, 3, dtype=np.int64)
    whole = distance >> n.FRACTION_BITS
    exact = 2.0 ** (n.EXP2_ONE_BITS - distance / 2.0**n.FRACTION_BITS)
    error = np.abs(n.exp2_neg(distance) - exact)
    # Before the shift a table entry is rounded (1/2), interpolation truncates (1) and is above the curve by
    # (1/64)**2 / 8 * ln(2)**2 < 2**-16 of it; the shift rounds (1/2).
    assert (error <= 1.5 * 0.5**whole + exact * 2.0**-16 + np.where(whole > 0, 0.5, 0.0)).all()


def test_exp2_falls_from_one_to_zero() -> None:
    distance = np.arange(0, 34 << n.FRACTION_BITS, 257, dtype=np.int64)
    values = n.exp2_neg(distance)
    assert values[0] == 1 << n.EXP2_ONE_BITS
    assert (np.diff(values) <= 0).all()
    assert not n.exp2_neg(np.array([31 << n.FRACTION_BITS, (1 << 32) - 1])).any()


def test_every_fraction_of_exp2() -> None:
    fraction = np.arange(1 << n.FRACTION_BITS, dtype=np.int64)
    exact = 2.0 ** (n.EXP2_ONE_BITS - fraction / 2.0**n.FRACTION_BITS)
    assert (np.abs(n.exp2_neg(fraction) - exact) / exact).max() < 8.2e-5


def test_sigmoid_is_within_its_bound() -> None:
    x = np.arange(-(17 << n.FRACTION_BITS), 17 << n.FRACTION_BITS, 5, dtype=np.int64)
    exact = 2.0**n.SILU_BITS / (1.0 + np.exp(-x / 2.0**n.FRACTION_BITS))
    # Rounded entries, truncated interpolation, and the bend of the curve: (1/16)**2 / 8 * max|s''| * 2**15 < 1.55.
    assert np.abs(n.sigmoid(x) - exact).max() < 3.1
    assert (n.sigmoid(x) + n.sigmoid(-x) == 1 << n.SILU_BITS).all()
    assert (np.diff(n.sigmoid(x)) >= 0).all()


def test_silu_is_within_its_bound() -> None:
    x = np.arange(-(20 << n.FRACTION_BITS), 20 << n.FRACTION_BITS, 7, dtype=np.int64)
    value = x / 2.0**n.FRACTION_BITS
    exact = value / (1.0 + np.exp(-value))
    error = np.abs(n.silu(x) / 2.0**n.FRACTION_BITS - exact)
    assert (error <= np.abs(value) * 3.1 / 2.0**n.SILU_BITS + 2.0**-n.FRACTION_BITS).all()


@given(st.floats(1e-30, 1e30))
def test_scale_from_float_is_the_nearest(value: float) -> None:
    mantissa, exponent = n.scale_from_float(value)
    assert 1 << 15 <= mantissa < 1 << 16
    assert math.ldexp(mantissa, exponent) == pytest.approx(value, rel=2.0**-16)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.0, "Scale must be finite and not negative, not -1.0"),
        (math.inf, "Scale must be finite and not negative, not inf"),
        (math.nan, "Scale must be finite and not negative, not nan"),
        (2.0**150, "Scale exponent must fit 8 bits, not 135"),
        (2.0**-150, "Scale exponent must fit 8 bits, not -165"),
    ],
)
def test_scales_that_cannot_be(value: float, text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        n.scale_from_float(value)
    assert str(refusal.value) == text


def test_scale_from_float_of_zero_and_of_the_carry() -> None:
    assert n.scale_from_float(0.0) == (0, 0)
    assert n.scale_from_float(1.0 - 2.0**-18) == (32768, -15)


def test_to_fixed_rounds_and_saturates() -> None:
    half = 2.0**-17
    values = np.array([0.0, 1.0, -1.0, half, -half, 3 * half, 1e9, -1e9, 1e30, -1e300])
    assert n.to_fixed(values).tolist() == [0, 65536, -65536, 1, 0, 2, *([INT32_MAX, INT32_MIN] * 2)]


def test_constants_are_what_they_say() -> None:
    for (mantissa, exponent), value in ((n.ONE_OVER_127, 1 / 127), (n.ONE_FIFTEENTH, 1 / 15), (n.ONE_OVER_255, 1 / 255)):
        assert (mantissa, exponent) == n.scale_from_float(value)
    assert n.TIMES_127[0] * 2.0 ** n.TIMES_127[1] == 127
    assert n.TIMES_15[0] * 2.0 ** n.TIMES_15[1] == 15
    assert n.TIMES_255[0] * 2.0 ** n.TIMES_255[1] == 255
    # One is the largest power of two in a signed half of a rotation's word, and in the 16 bits of a power.
    assert 1 << n.ROPE_BITS < 1 << 15 <= 1 << (n.ROPE_BITS + 1)
    assert 1 << n.EXP2_ONE_BITS < 1 << 16 <= 1 << (n.EXP2_ONE_BITS + 1)
    # A gain of 15 bits keeps them all: the largest residual value times the largest gain is just not saturated.
    gain = (1 << 15) - 1
    assert INT32_MAX >> 1 < n.round_shift(np.int64(INT32_MAX) * gain, n.NORM_SHIFT) < INT32_MAX
    # 2**15 squares of the largest value are summed in 64 bits, and would not be one shift less.
    assert 1 << 63 <= n.round_shift(1 << 62, n.SQUARE_SHIFT) << 15 < 1 << 64


def test_tables_have_the_entries_that_the_words_of_the_circuit_have() -> None:
    for tables, count in ((n.exp2_table(), 64), (n.sigmoid_table(), 256)):
        assert [table.shape for table in tables] == [(count,), (count,)]
