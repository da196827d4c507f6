"""The integer reference: each operation against plain integers, and many tokens at once against one by one."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from hwsim.arch import numerics
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.numerics import NORM_SHIFT, score_scale
from hwsim.errors import CheckpointError, SpecError
from models.integer import IntegerReference, State, kernels, ops
from models.integer.constants import HEAD_UNIT, epsilon, gain, head_identity, inverse_hidden, rope_table
from models.rope_scaling import RopeScaling
from tests.models.tiny import SEED, tiny_config, tiny_model, tiny_tokens

BITS_32 = (1 << 31) - 1


def half_up(x: int, shift: int) -> int:
    return (x + ((1 << shift) >> 1)) >> shift


def clamp(x: int, bits: int = 32) -> int:
    return max(-(1 << (bits - 1)), min(x, (1 << (bits - 1)) - 1))


def product(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    wide, exponent = a[0] * b[0], a[1] + b[1] + 15
    return (wide >> 16, exponent + 1) if wide >> 31 else (wide >> 15, exponent)


def applied(x: int, scale: tuple[int, int], fraction_bits: int = 16) -> int:
    return clamp(half_up(x * scale[0], max(0, min(-(scale[1] + fraction_bits), 48))))


def normalized(x: int) -> tuple[int, int]:
    length = x.bit_length()
    return (0, 0) if x == 0 else ((x >> (length - 16)) if length > 16 else x << (16 - length), length - 16)


def inverse(scale: tuple[int, int]) -> tuple[int, int]:
    return (65535 if scale[0] == 0 else BITS_32 // scale[0]), -31 - scale[1]


def inverse_root(scale: tuple[int, int]) -> tuple[int, int]:
    odd = scale[1] & 1
    return inverse((math.isqrt(scale[0] << (16 - odd)), (scale[1] - 16 + odd) >> 1))


def quantized(values: list[int]) -> tuple[list[int], tuple[int, int]]:
    top = normalized(max(abs(v) for v in values))
    factor = product(inverse(top), (65024, -9))
    codes = [max(-127, min(applied(v, factor, 0), 127)) for v in values]
    mantissa, exponent = product(top, (33026, -22))
    return codes, (mantissa, exponent - 16)


def check(found: ops.Quantized, row: int, codes: list[int], scale: tuple[int, int]) -> None:
    assert found.codes[row].tolist() == codes
    assert (int(found.scale[0][row]), int(found.scale[1][row])) == scale


def values(rows: int, length: int, seed: int, limit: int) -> np.ndarray:
    found = np.random.default_rng(seed).integers(-limit, limit, (rows, length))
    found[0] = 0
    found[-1, 0] = -(1 << 31)
    return found


@pytest.mark.parametrize("limit", [3, 1 << 16, 1 << 24, 1 << 31])
def test_quant(limit: int) -> None:
    x = values(6, 40, SEED, limit)
    found = ops.quantize(x)
    for row in range(len(x)):
        check(found, row, *quantized(x[row].tolist()))


@pytest.mark.parametrize(("limit", "shift"), [(2, 15), (1 << 16, 15), (1 << 22, 15), (1 << 31, 15), (1 << 31, 9)])
def test_norm(limit: int, shift: int) -> None:
    x = values(6, 40, SEED, limit)
    gains = np.random.default_rng(SEED + 1).integers(-(1 << 15), 1 << 15, 40)
    length = numerics.scale_from_float(1 / 40)
    found = ops.norm(x, gains, shift, 1510, length)
    for row in range(len(x)):
        codes, scale = quantized([clamp(half_up(v * g, shift)) for v, g in zip(x[row].tolist(), gains.tolist(), strict=True)])
        mantissa, exponent = normalized(sum(half_up(v * v, 14) for v in x[row].tolist()) + 1510)
        check(found, row, codes, product(scale, inverse_root(product((mantissa, exponent - 18), length))))


@pytest.mark.parametrize("limit", [1 << 12, 1 << 18, 1 << 31])
def test_swiglu(limit: int) -> None:
    gate, up = values(5, 40, SEED, limit), values(5, 40, SEED + 1, limit)
    found = ops.swiglu(gate, up)
    points = [round(32768 / (1 + math.exp(-i / 16))) for i in range(257)]

    def silu(x: int) -> int:
        magnitude = min(abs(x), (16 << 16) - 1)
        index, rest = magnitude >> 12, magnitude & 4095
        value = points[index] + ((points[index + 1] - points[index]) * rest >> 12)
        return half_up(x * (32768 - value if x < 0 else value), 15)

    for row in range(5):
        pairs = zip(gate[row].tolist(), up[row].tolist(), strict=True)
        check(found, row, *quantized([clamp(half_up(silu(g) * u, 16)) for g, u in pairs]))


def kept(head: list[int], bits: int) -> tuple[list[int], tuple[int, int], int]:
    """Return codes, scale and zero point of a head in the cache; the range of its values always has zero in it."""
    times, over = {4: ((61440, -12), (34953, -19)), 8: ((65280, -8), (32897, -23))}[bits]
    low, high = min(0, *head), max(0, *head)
    span = normalized(high - low)
    top, factor = (1 << bits) - 1, product(inverse(span), times)
    zero = max(0, min(applied(-low, factor, 0), top))
    mantissa, exponent = product(span, over)
    return [max(0, min(applied(v, factor, 0) + zero, top)) for v in head], (mantissa, exponent - 16), zero


@pytest.mark.parametrize("limit", [1 << 20, 1 << 31])
@pytest.mark.parametrize("bits", [4, 8])
def test_rope_and_key_quantization(bits: int, limit: int) -> None:
    config = tiny_config()
    x, positions = values(4, 32, SEED, limit), [0, 1, 77, 200]
    table = rope_table(config, positions)
    queries, keys = (
        ops.rotate_query(x, table.astype(np.int64), score_scale(config.head_dim)),
        ops.kv_quantize(ops.rotate(x, table.astype(np.int64)), bits),
    )
    for row, position in enumerate(positions):
        turned = []
        for d in range(32):
            angle = position * 1e4 ** -((d % 16) / 16)
            cosine, sine = (math.floor(part(angle) * 16384 + 0.5) for part in (math.cos, math.sin))
            partner, sign = ((d + 16), -1) if d < 16 else (d - 16, 1)
            turned.append(clamp(half_up(int(x[row, d]) * cosine + int(x[row, partner]) * sign * sine, 14)))
        codes, scale = quantized(turned)
        check(queries, row, codes, product(scale, score_scale(config.head_dim)))
        found = keys.codes[row].tolist(), (int(keys.scale[0][row]), int(keys.scale[1][row])), int(keys.zero[row])
        assert found == kept(turned, bits)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("least", "most"), [(0, 0), (1, 1), (70000, 90000), (-90000, -70000), (-5, 1 << 30), (-(1 << 31), -(1 << 30))]
)
def test_heads_on_one_side_of_zero_keep_their_distance_from_it(least: int, most: int, bits: int) -> None:
    """Of positive values the zero point is code 0, of negative ones the largest."""
    x = np.random.default_rng(SEED).integers(least, most, (3, 2, 32), endpoint=True)
    found, entry = kernels.Cached.empty(x.shape), ops.kv_quantize(x, bits)
    kernels.kv_rows(x, np.zeros((3, 32, 2), np.int64), False, bits, found)
    for part, wanted in zip(found, (entry.codes, *entry.scale, entry.zero), strict=True):
        assert np.array_equal(part, wanted)
    for place in np.ndindex(3, 2):
        mantissa, exponent = int(entry.scale[0][place]), int(entry.scale[1][place])
        assert (entry.codes[place].tolist(), (mantissa, exponent), int(entry.zero[place])) == kept(x[place].tolist(), bits)
    if least >= 0 or most < 0:
        assert (entry.zero == (0 if least >= 0 else (1 << bits) - 1)).all()


def test_softmax_and_weighted_sum() -> None:
    random = np.random.default_rng(SEED)
    scores = random.integers(-(20 << 16), 20 << 16, (3, 50))
    # Nothing that is not valid counts, be it larger than all that is.
    scores[1] -= 40 << 16
    valid = random.random((3, 50)) < 0.8
    scores[2, ~valid[2]] = BITS_32
    mantissa, exponent = random.integers(1 << 15, 1 << 16, 50), random.integers(-22, -16, 50)
    zero, cached = random.integers(0, 16, 50), random.integers(0, 16, (50, 32))
    found = ops.softmax(scores, valid, (mantissa, exponent), zero)
    sums = ops.weighted_sum(found.codes @ cached, found)
    points = [round(2.0 ** (15 - i / 64)) for i in range(65)]

    def power(distance: int) -> int:
        index, rest = (distance & 0xFFFF) >> 10, distance & 1023
        return half_up(points[index] - ((points[index] - points[index + 1]) * rest >> 10), min(distance >> 16, 31))

    for row in range(3):
        used = np.flatnonzero(valid[row]).tolist()
        top = max(int(scores[row, k]) for k in used)
        raised = {k: power(top - int(scores[row, k])) for k in used}
        weights = {k: applied(raised[k], (int(mantissa[k]), int(exponent[k])), 5) for k in used}
        largest = normalized(max(weights.values()))
        factor = product(inverse(largest), (65024, -9))
        codes = [max(0, min(applied(weights[k], factor, 0), 127)) if k in weights else 0 for k in range(50)]
        assert found.codes[row].tolist() == codes
        m, e = product(largest, (33026, -22))
        share = inverse(normalized(sum(raised.values())))
        scale = product((m, e - 20), (share[0], share[1] + 15))
        assert (int(found.scale[0][row]), int(found.scale[1][row])) == scale
        zero_sum = sum(c * int(z) for c, z in zip(codes, zero, strict=True))
        assert int(found.zero_sum[row]) == zero_sum
        for d in range(32):
            total = sum(c * int(cached[k, d]) for k, c in enumerate(codes)) - zero_sum
            assert int(sums[row, d]) == applied(total, scale)


def test_operations_take_any_leading_axes() -> None:
    random = np.random.default_rng(SEED)
    x, gains, table = values(6, 32, SEED, 1 << 20), random.integers(-(1 << 15), 1 << 15, 32), rope_table(tiny_config(), range(6))
    scale = random.integers(1 << 15, 1 << 16, 32), random.integers(-22, -16, 32)
    mixed = random.integers(-(1 << 20), 1 << 20, (6, 8))

    def results(shape: tuple[int, ...]) -> list[np.ndarray]:
        own, turns = x.reshape(*shape, 32), table.astype(np.int64).reshape(*shape, 32, 2)
        coefficients = ops.softmax(own, np.True_, scale, gains)
        rows = [
            ops.quantize(own),
            ops.norm(own, gains, 15, 3, (58254, -25)),
            *ops.norm_heads(own, gains, 15, 3, (58254, -25)),
            ops.swiglu(own[..., :16], own[..., 16:]),
            ops.rotate_query(own, turns, (47274, -18)),
            ops.kv_quantize(ops.rotate(own, turns), 4),
            coefficients,
            ops.weighted_sum(mixed.reshape(*shape, 8), coefficients),
        ]
        flat = [part for row in rows for part in (row if isinstance(row, tuple) else (row,))]
        return [each for part in flat for each in (part if isinstance(part, tuple) else (part,))]

    for one, other in zip(results((6,)), results((2, 3)), strict=True):
        assert np.array_equal(one.ravel(), other.ravel())
        assert other.shape[:2] == (2, 3)


def same(rows: kernels.Rows, expected: ops.Quantized) -> None:
    for found, wanted in zip(rows, (expected.codes, *expected.scale), strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("limit", [1, 100, 1 << 16, 1 << 25, 1 << 31])
def test_compiled_rows_equal_the_operations(limit: int) -> None:
    random = np.random.default_rng(SEED)
    x, gains = values(7, 64, SEED, limit), random.integers(-(1 << 15), 1 << 15, 64)
    rows = kernels.Rows.empty(x.shape)
    kernels.quantize_rows(x, rows)
    same(rows, ops.quantize(x))
    for shift in (15, 9):
        kernels.norm_rows(x, gains, shift, 3, 58254, -25, rows)
        same(rows, ops.norm(x, gains, shift, 3, (58254, -25)))
    rows = kernels.Rows.empty((7, 32))
    kernels.swiglu_rows(x, rows)
    same(rows, ops.swiglu(x[:, :32], x[:, 32:]))
    heads, table = x.reshape(7, 2, 32), rope_table(tiny_config(), range(7)).astype(np.int64)
    rows = kernels.Rows.empty(heads.shape, np.int16)
    kernels.query_rows(heads, table, 47274, -18, rows)
    same(rows, ops.rotate_query(heads, table[:, None], (47274, -18)))
    for is_key, bits in itertools.product((False, True), (4, 8)):
        found = kernels.Cached.empty((7, 2, 32))
        kernels.kv_rows(heads, table, is_key, bits, found)
        entry = ops.kv_quantize(ops.rotate(heads, table[:, None]) if is_key else heads, bits)
        for part, wanted in zip(found, (entry.codes, *entry.scale, entry.zero), strict=True):
            assert np.array_equal(part, wanted)


def test_accumulators_are_sums_modulo_32_bits() -> None:
    """Sums of three sizes: within 32 bits, above them, and far below."""
    weights = np.array([[1, -2, 3, 5], [32767] * 4, [-32768] * 4], np.int16)
    codes, found = np.array([7, 11, -13, 127], np.int16), np.empty(3, np.int32)
    kernels.accumulate(weights, codes, found)
    assert found[0] == 7 - 22 - 39 + 635
    codes[:] = 32767
    kernels.accumulate(weights, codes, found)
    assert found.tolist() == [
        7 * 32767,
        *(((32767 * 4 * weight + (1 << 31)) & 0xFFFFFFFF) - (1 << 31) for weight in (32767, -32768)),
    ]


@pytest.mark.parametrize(("sinks", "window"), [(0, 4), (2, 3), (3, 1), (2, 40), (6, 3)])
@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize("highest", [-12, -4, 20])
def test_compiled_attention_equals_the_operations(sinks: int, window: int, first: int, highest: int) -> None:
    """Every token of a part reads the sinks and the window up to itself, whatever the scores: small ones, or beyond 32 bits."""
    random, tokens = np.random.default_rng(SEED + first + window), 6
    state = State(tiny_config(), sinks=sinks, window=window)
    held = np.concatenate([state.kept(first), np.arange(first, first + tokens)])

    def scales(shape: tuple[int, ...], most: int) -> tuple[np.ndarray, np.ndarray]:
        return random.integers(1 << 15, 1 << 16, shape), random.integers(most - 3, most + 1, shape)

    queries = [
        kernels.Rows(random.integers(-127, 128, (tokens, 4, 8)).astype(np.int16), *scales((tokens, 4), highest - 14)) for _ in "ab"
    ]
    key, value = (
        kernels.Cached(
            random.integers(0, 256, (2, len(held), 8)).astype(np.int16),
            *scales((2, len(held)), -12),
            random.integers(0, 256, (2, len(held))),
        )
        for _ in "kv"
    )
    # The values of one head are nothing but zeros where it begins.
    value.mantissa[1, :2] = 0
    found = np.empty((tokens, 4, 8), np.int64)
    kernels.attend_rows(first, sinks, window, held, *queries, key, value, found)
    for token, head in np.ndindex(tokens, 4):
        position, own, scores = first + token, head // 2, []
        runs = held < min(sinks, position + 1), (held >= sinks) & (held > position - window) & (held <= position)
        for query, run in zip(queries, runs, strict=True):
            centered = key.codes[own, run].astype(np.int64) - key.zero[own, run, None]
            scale = key.mantissa[own, run], key.exponent[own, run]
            products = centered @ query.codes[token, head].astype(np.int64)
            scores.append(ops.dot(products, scale, (query.mantissa[token, head], query.exponent[token, head])))
        read = np.concatenate([np.flatnonzero(run) for run in runs])
        scale = value.mantissa[own, read], value.exponent[own, read]
        coefficients = ops.softmax(np.concatenate(scores), np.True_, scale, value.zero[own, read])
        sums = coefficients.codes @ value.codes[own, read].astype(np.int64)
        assert np.array_equal(found[token, head], ops.weighted_sum(sums, coefficients)), (token, head)


@pytest.mark.parametrize("lowest", [-60, -34, -20])
def test_compiled_scaling_equals_the_operation(lowest: int) -> None:
    random = np.random.default_rng(SEED)
    accumulated = random.integers(-BITS_32, BITS_32, (40, 30))
    accumulated[0] = [-(1 << 31), BITS_32, *range(-14, 14)]
    row = random.integers(1 << 15, 1 << 16, 30), random.integers(lowest, lowest + 20, 30)
    mantissa, exponent = random.integers(1 << 15, 1 << 16, 40), random.integers(-20, 4, 40)
    row[0][3] = 0
    found = np.empty((40, 30), np.int64)
    kernels.scale_rows(accumulated.astype(np.int32), *row, mantissa, exponent, 0, found)
    assert np.array_equal(found, ops.dot(accumulated, row, (mantissa[:, None], exponent[:, None])))


@pytest.mark.parametrize(
    ("pattern", "has_bias", "format", "cache"),
    [
        ("dense", False, Format.W4, CacheFormat.KV4),
        ("lambda:4+12", False, Format.W4, CacheFormat.KV4),
        ("lambda:3+20", True, Format.W8, CacheFormat.KV4),
        ("lambda:3+20", True, Format.W8, CacheFormat.KV8),
        ("lambda:0+7", False, Format.W2, CacheFormat.KV4),
        ("lambda:4+100", True, Format.W2S, CacheFormat.KV4),
        ("dense", False, Format.W4, CacheFormat.KV8),
    ],
)
def test_window_equals_steps(pattern: str, has_bias: bool, format: Format, cache: CacheFormat) -> None:
    model = dataclasses.replace(tiny_model(pattern, format=format, has_bias=has_bias), cache=cache)
    reference, tokens = IntegerReference(model), tiny_tokens(80)
    window = reference.window_logits(tokens).numpy()
    state = reference.open()
    steps = np.stack([reference.step(state, token) for token in tokens])
    assert np.array_equal(steps, window)
    assert len(np.unique(window)) > 1000
    assert (max(int(part.codes.max()) for part in (*state.keys, *state.values))) == (1 << cache.bits) - 1
    mixed = reference.open()
    reference.prefill(mixed, tokens[:33])
    assert np.array_equal(np.stack([reference.step(mixed, token) for token in tokens[33:44]]), window[33:44])
    assert np.array_equal(reference.prefill(mixed, tokens[44:]), window[-1])


@pytest.mark.parametrize(("pattern", "cache"), [("dense", CacheFormat.KV4), ("lambda:3+20", CacheFormat.KV8)])
def test_normalized_heads_in_a_window_equal_steps(pattern: str, cache: CacheFormat) -> None:
    model = dataclasses.replace(tiny_model(pattern, has_head_norms=True), cache=cache)
    reference, tokens = IntegerReference(model), tiny_tokens(80)
    window, state = reference.window_logits(tokens).numpy(), reference.open()
    seen: dict[str, np.ndarray] = {}
    steps = np.stack([reference.step(state, token, lambda name, array: seen.update({name: array})) for token in tokens])
    assert np.array_equal(steps, window)
    assert {f"layers.1.query_norm.head{head}.codes" for head in range(4)} <= set(seen)
    assert seen["layers.0.key_norm.head1.scale"].shape == (2,)
    # Every gain counts, those of queries and those of keys.
    for name in ("layers.0.query_norm", "layers.1.key_norm"):
        values = model.gains[name].values.copy()
        values[7] = 0
        other = dataclasses.replace(model, gains={**model.gains, name: dataclasses.replace(model.gains[name], values=values)})
        assert not np.array_equal(IntegerReference(other).window_logits(tokens[:9]).numpy(), window[:9])


@pytest.mark.parametrize("size", [0.1, 1.0, 300.0])
def test_normalized_heads_are_near_the_real_ones_however_large(size: float) -> None:
    """A gain of 200 takes elements beyond 127, where codes under the largest scale of a product would end."""
    random = np.random.default_rng(SEED)
    config = tiny_config(has_head_norms=True)
    heads = np.round(random.normal(0, size, (6, 32)) * 2**16).astype(np.int64)
    kept = gain(np.where(np.arange(32) == 3, 200.0, 1 + 0.3 * random.normal(size=32)), "norm")
    constants = NORM_SHIFT, epsilon(config, 32), inverse_hidden(config, kept, 32)
    normed, values = ops.norm_heads(heads, kept.values.astype(np.int64), *constants)
    real = heads / 2**16
    real = real / np.sqrt((real**2).mean(-1, keepdims=True) + config.norm_eps) * (kept.values / 2.0**kept.shift)
    step = np.abs(real).max(-1, keepdims=True) / 127
    assert np.abs(real).max() > 127
    assert (np.abs(values / 2**16 - real) <= (0.51 if size >= 1 else 0.7) * step).all()
    assert np.abs(normed.codes).max() == 127


def test_the_identity_gives_codes_back_at_every_scale() -> None:
    matrix = head_identity(64)
    assert np.array_equal(matrix.integer(), HEAD_UNIT * np.eye(64, dtype=np.int64))
    assert np.array_equal(matrix.dequantize(), np.eye(64))
    matrix.check("identity")
    assert matrix.scale.shape == matrix.offset.shape == (64, 2), "Each group of 32 inputs has a scale."


def test_tokens_shared_among_threads_equal_steps() -> None:
    reference, tokens = IntegerReference(tiny_model("lambda:3+50")), tiny_tokens(200)
    window, state = reference.window_logits(tokens).numpy(), reference.open()
    assert np.array_equal(np.stack([reference.step(state, token) for token in tokens]), window)


def test_ring_forgets_what_left_the_window() -> None:
    reference = IntegerReference(tiny_model("lambda:2+8"))
    tokens = tiny_tokens(60)
    changed = [*tokens[:5], (tokens[5] + 1) % 96, *tokens[6:]]
    first, second = reference.window_logits(tokens), reference.window_logits(changed)
    assert not torch.equal(first[6], second[6])
    # Two layers carry a token at most twice the window ahead.
    assert torch.equal(first[5 + 2 * 8 :], second[5 + 2 * 8 :])


def test_recorder_names_every_intermediate() -> None:
    reference = IntegerReference(tiny_model("lambda:4+12", has_bias=True))
    state, seen = reference.open(), {}
    for token in tiny_tokens(20):
        seen.clear()
        logits = reference.step(state, token, lambda name, array: seen.update({name: array.copy()}))
    assert np.array_equal(seen["logits"], logits)
    assert seen["layers.1.scores.head3"].shape == (16,)
    assert seen["layers.0.key.head1.codes"].shape == (32,)
    expected = {"embedding", "layers.0.qkv", "layers.1.query.head0.scale", "layers.1.coefficients.head2.codes"}
    assert expected | {"layers.0.attended", "layers.0.o", "layers.1.gateup", "layers.1.swiglu.codes", "final_norm.scale"} <= set(
        seen
    )


def test_constants() -> None:
    config = tiny_config()
    assert epsilon(config) == round(1e-5 * 64 * 2**18)
    large = dataclasses.replace(config, norm_eps=0.1)
    assert (epsilon(large, 81919), epsilon(large, 81921)) == (round(0.1 * 81919 * 2**18), BITS_32)
    exact = np.array([0.5, -1.75, 1.999])
    kept = gain(exact, "norm")
    assert kept.shift == 14
    assert np.abs(kept.values / 2.0**kept.shift - exact).max() <= 2.0**-15
    mantissa, exponent = inverse_hidden(config, kept)
    assert mantissa * 2.0**exponent == 1 / 64 / 4
    mantissa, exponent = inverse_hidden(config, kept, 32)
    assert (mantissa * 2.0**exponent, epsilon(config, 32)) == (1 / 32 / 4, round(1e-5 * 32 * 2**18))
    # The most fraction bits are 31, and whole numbers have none.
    assert gain(np.array([2.0**-40, 0]), "norm").shift == 31
    # At 14 fraction bits this one would be rounded to 2**15.
    near = gain(np.array([1.99998]), "norm")
    assert (near.values.tolist(), near.shift) == ([1 << 14], 13)
    whole = gain(np.array([32767.0, -1.0]), "norm")
    assert (whole.values.tolist(), whole.shift) == ([32767, -1], 0)
    with pytest.raises(CheckpointError, match="Gains of norm must be at most 32767, not 40000"):
        gain(np.array([40000.0]), "norm")


def test_rotations_are_refused_from_twice_the_circle_on() -> None:
    def table(factor: float) -> np.ndarray:
        scaling = RopeScaling(kind="yarn", factor=4.0, original_positions=64, attention_factor=factor)
        return rope_table(dataclasses.replace(tiny_config(), rope_scaling=scaling), [0])

    assert table(32767 / 16384)[0, 0].tolist() == [32767, 0]
    with pytest.raises(CheckpointError, match="^RoPE attention factor must be below 2, not 2$"):
        table(2.0)


def test_refusals() -> None:
    model = tiny_model("dense")
    reference = IntegerReference(model)
    with pytest.raises(SpecError, match="Token must be between 0 and 95, not 96"):
        reference.step(reference.open(), 96)
    with pytest.raises(SpecError, match="A text must have at least one token, not none"):
        reference.window_logits([])
    matrices = dict(model.matrices)
    del matrices["layers.1.o"]
    with pytest.raises(CheckpointError, match=r"must have matrices of layers\.1\.o, which are missing"):
        dataclasses.replace(model, matrices=matrices)
    wrong = {**model.matrices, "layers.1.o": model.matrices["layers.1.qkv"]}
    with pytest.raises(CheckpointError, match=r"Matrix layers\.1\.o must have shape \(64, 128\), not \(256, 64\)"):
        dataclasses.replace(model, matrices=wrong)


def test_fingerprint_covers_what_is_computed() -> None:
    model = tiny_model("lambda:4+12")
    other = dataclasses.replace(model, config=dataclasses.replace(model.config, rope_base=2e4))
    renamed = dataclasses.replace(model, config=dataclasses.replace(model.config, name="other"))
    wide = dataclasses.replace(model, cache=CacheFormat.KV8)
    assert model.fingerprint == tiny_model("lambda:4+12").fingerprint == renamed.fingerprint
    assert len({each.fingerprint for each in (model, other, wide, tiny_model("lambda:4+13"))}) == 4
