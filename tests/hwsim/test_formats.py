"""Every weight format: streams unpack to the matrix they were packed from, and the cache layout keeps tokens apart."""

import numpy as np
import pytest

from hwsim.arch.formats import WEIGHT_FORMATS, CacheLayout, QuantizedMatrix
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import ScheduleError
from tests.hwsim.slow_formats import pack_stream, unpack_stream


def random_matrix(format: Format, rows: int, inputs: int, seed: int) -> QuantizedMatrix:
    rng = np.random.default_rng(seed)
    group = WEIGHT_FORMATS[format].group
    kept = None
    top = {Format.W4: 16, Format.W8: 256}.get(format, 4)
    codes = rng.integers(0, top, (rows, inputs)).astype(np.uint8)
    offset = rng.integers(0, 4, (rows, inputs // group)).astype(np.int8)
    if format == Format.W8:
        offset = offset * np.int8(0)
    if format == Format.W4:
        offset = rng.integers(-128, 128, offset.shape).astype(np.int8)
    if format == Format.W2S:
        order = rng.random((rows, inputs // 4, 4)).argsort(axis=-1).argsort(axis=-1)
        kept = (order < 2).reshape(rows, inputs)
        codes = np.where(kept, codes, 0).astype(np.uint8)
    return QuantizedMatrix(
        format=format,
        codes=codes,
        kept=kept,
        scale=rng.integers(0, 256, offset.shape).astype(np.uint8),
        offset=offset,
        mantissa=rng.integers(1 << 15, 1 << 16, rows),
        exponent=rng.integers(-40, 10, rows),
    )


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
@pytest.mark.parametrize("slices", [1, 4, 8])
@pytest.mark.parametrize("rows", [1, 9, 40])
def test_stream_round_trip(format: Format, slices: int, rows: int) -> None:
    inputs = 640
    matrix = random_matrix(format, rows, inputs, seed=rows * 8 + slices)
    streams = pack_stream(matrix, slices)
    blocks = -(-rows // slices)
    assert streams.shape == (slices, format.sizes.stream_words(blocks, inputs), 16)
    back = unpack_stream(format, streams, inputs, blocks)
    assert np.array_equal(back.integer()[:rows], matrix.integer())
    assert np.array_equal(back.mantissa[:rows], matrix.mantissa)
    assert np.array_equal(back.exponent[:rows], matrix.exponent)
    assert not back.mantissa[rows:].any()


def test_cache_words_follow_from_the_format() -> None:
    assert [(format.bits, format.planes, format.words(64)) for format in CacheFormat] == [(4, 1, 2), (8, 2, 4)]
    of_streams = {format: format.cache for format in Format if format.cache is not None}
    assert of_streams == {format.keys: format for format in CacheFormat}


def test_bits_follow_from_words() -> None:
    """A stored bit is a bit of a stream: of long rows of weights, and of a cache whose keys have every header of both halves."""
    weights = {format.name: format.sizes.bits_per_weight for format in WEIGHT_FORMATS}
    assert weights == {"W2": 2.25, "W2S": 2.0, "W4": 4.5, "W8": 8.5}
    for format in WEIGHT_FORMATS:
        inputs = format.sizes.group * max(1, format.sizes.run_groups) * 3
        assert format.sizes.body_words(inputs) * 128 == format.sizes.bits_per_weight * inputs
    assert CacheFormat.KV4.bits_per_value(128) == 4.25
    for cache in CacheFormat:
        layout = CacheLayout(slices=4, lanes=4, head_dim=64, sinks=4, window=252, format=cache)
        words = (layout.key_beats + layout.value_beats) * layout.slices
        assert words * 128 == 2 * layout.slots * layout.head_dim * cache.bits_per_value(64)


def test_data_cycles_are_words_times_their_cycles() -> None:
    """Products of 1,280 inputs: 32 lanes take 32 codes of 4 bits a cycle, half as many of 8, as many of 2 unless pruned."""
    expected = {"W4": 40, "W8": 80, "W2": 40, "W2S": 20, "KV4": 40, "KV8": 80}
    assert {format.name: format.sizes.data_cycles(1280) for format in Format} == expected


@pytest.mark.parametrize(
    ("format", "head_dim", "slices", "lanes", "text"),
    [
        (CacheFormat.KV4, 96, 4, 4, "Head dimension of a kv4 cache must be 32, 64 or 128 and at most 32 x 4 slices, not 96"),
        (CacheFormat.KV8, 128, 4, 8, "Head dimension of a kv8 cache must be 32, 64 or 128 and at most 16 x 4 slices, not 128"),
        (CacheFormat.KV8, 32, 1, 4, "Head dimension of a kv8 cache must be 32, 64 or 128 and at most 16 x 1 slices, not 32"),
        (CacheFormat.KV8, 128, 8, 4, "Head dimension of a kv8 cache must be at most 16 x 4 vector lanes, not 128"),
        (
            CacheFormat.KV4,
            32,
            128,
            32,
            "Head dimension of a kv4 cache must leave at most 64 tokens in a beat of 128 slices, not 128 as 32 does",
        ),
    ],
)
def test_a_head_must_fit_the_slices(format: CacheFormat, head_dim: int, slices: int, lanes: int, text: str) -> None:
    with pytest.raises(ScheduleError) as refusal:
        CacheLayout(slices=slices, lanes=lanes, head_dim=head_dim, sinks=4, window=252, format=format)
    assert str(refusal.value) == text


@pytest.mark.parametrize("format", CacheFormat)
def test_cache_slots_are_distinct_until_the_ring_wraps(format: CacheFormat) -> None:
    layout = CacheLayout(slices=4, lanes=4, head_dim=64, sinks=4, window=252, format=format)
    slots = [layout.slot_of(position) for position in range(256)]
    assert len(set(slots)) == 256
    assert max(slots) < layout.slots
    assert layout.slot_of(256) == layout.slot_of(4)
