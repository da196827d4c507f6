"""One integer at a time equals arrays: the compiled arithmetic of the integer model against `hwsim.arch.numerics`, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.arch import numerics
from models.integer import scalar

LOWEST, LARGEST = -(1 << 31), (1 << 31) - 1
FIXED = [
    LOWEST,
    LOWEST + 1,
    *(sign * ((1 << bit) + near) for sign in (-1, 1) for bit in range(30) for near in (-1, 0, 1)),
    0,
    LARGEST,
]
COUNTS = sorted({max((1 << bit) + near, 0) for bit in range(62) for near in (-1, 0, 1)} | {0})
MANTISSAS = [0, 1 << 15, (1 << 15) + 1, 46340, 46341, 46342, 49152, 65023, 65024, 65535]
SCALES = [
    (mantissa, exponent) for mantissa in MANTISSAS for exponent in (-61, -60, -33, -32, -31, -17, -16, -15, -2, -1, 0, 1, 2, 20)
]
WIDE = [value * factor for value in FIXED for factor in (1, 3, 65535)]


def numbers(value: Any) -> Any:
    return tuple(map(numbers, value)) if isinstance(value, tuple) else int(value)


def array(value: Any) -> Any:
    return tuple(map(array, value)) if isinstance(value, tuple) else np.int64(value)


CASES: list[tuple[Callable[..., Any], Callable[..., Any], list[tuple[Any, ...]]]] = [
    (scalar.half_up, numerics.round_shift, [(x, shift) for x in WIDE[::2] for shift in (0, 1, 2, 14, 15, 16, 31, 48)]),
    (scalar.saturated, lambda x: numerics.saturate(x, 32), [(x,) for x in WIDE]),
    (scalar.normalized, numerics.normalize, [(x,) for x in COUNTS]),
    (scalar.combined, numerics.combine, [(a, b) for a in SCALES for b in SCALES[::5]]),
    (scalar.reciprocal, numerics.reciprocal, [(scale,) for scale in SCALES]),
    (scalar.inverse_root, numerics.rsqrt, [(scale,) for scale in SCALES if scale[0]]),
    (scalar.applied, numerics.apply_scale, [(x, scale, bits) for x in FIXED[::8] for scale in SCALES for bits in (0, 5, 16)]),
    (scalar.code, numerics.quantize_act, [(x, scale) for x in FIXED[::8] for scale in SCALES]),
    (scalar.exp2_neg, numerics.exp2_neg, [(x,) for x in COUNTS if x < 1 << 32] + [(x,) for x in range(0, 33 << 16, 2021)]),
    (scalar.silu, numerics.silu, [(x,) for x in FIXED] + [(x,) for x in range(-(17 << 16), 17 << 16, 2021)]),
    (scalar.cache_limit, numerics.kv_limit, [(4,), (8,)]),
    (scalar.cache_factors, numerics.kv_factors, [(4,), (8,)]),
]


@pytest.mark.parametrize(("one", "many", "arguments"), CASES, ids=[case[0].__name__ for case in CASES])
def test_one_equals_many(one: Callable[..., Any], many: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> None:
    for given in arguments:
        expected = many(*given) if many in (numerics.kv_limit, numerics.kv_factors) else many(*map(array, given))
        assert numbers(one(*given)) == numbers(expected), given


@pytest.mark.parametrize(
    ("times", "over"), [(numerics.TIMES_127, numerics.ONE_OVER_127), (numerics.TIMES_255, numerics.ONE_OVER_255)]
)
def test_the_quantizer_is_the_inverse_and_the_scale(times: tuple[int, int], over: tuple[int, int]) -> None:
    for top in COUNTS:
        scale = numerics.normalize(np.int64(top))
        expected = numerics.combine(numerics.reciprocal(scale), times), numerics.combine(scale, over)
        assert numbers(scalar.quantizer(top, times, over)) == numbers(expected)
