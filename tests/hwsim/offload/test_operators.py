"""GPU operators: no faster than the roofline, as slow as one wave at least, the same alone and in a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.gpu_time import ARITHMETIC, LAUNCHES, MEMORY, GpuRates, Shape, attention, product, stream
from hwsim.units import Bytes, BytesPerSecond, Operations, OperationsPerSecond, Seconds

RATES = {
    "name": "gpu",
    "peak": OperationsPerSecond.of("300 TFLOP/s"),
    "memory": BytesPerSecond.of("2000 GB/s"),
    "multiprocessors": 100,
    "product_share": 0.9,
    "memory_share": 0.8,
    "attention_share": 0.7,
    "prompt_attention_share": 0.6,
    "tile_step": 128,
    "launch": Seconds.of("5 us"),
    "product_launch": Seconds.of("5 us"),
    "attention_launch": Seconds.of("5 us"),
}
GPU = GpuRates(**RATES)
SIZES = st.integers(1, 20000)


@given(SIZES, SIZES, SIZES)
def test_a_product_stays_under_the_roofline(rows: int, columns: int, inner: int) -> None:
    shape = Shape(rows=rows, columns=columns, inner=inner)
    busy = product(GPU, shape).time - GPU.launch
    assert busy.value >= (shape.operations / GPU.product_rate).value * (1 - 1e-9)
    assert busy.value >= (shape.bytes / GPU.long_read_rate).value * (1 - 1e-9)


def test_whole_waves_reach_the_peak() -> None:
    # Ten by ten tiles of 128 x 128 on a hundred multiprocessors; one more row of tiles costs a whole wave.
    full, more = (Shape(rows=128 * count, columns=1280, inner=1e6) for count in (10, 11))
    assert (product(GPU, full).time - GPU.launch).value == pytest.approx((full.operations / GPU.product_rate).value)
    assert (product(GPU, more).time - GPU.launch).value == pytest.approx(2 * (product(GPU, full).time - GPU.launch).value)


def test_a_few_rows_read_the_weights() -> None:
    shape = Shape(rows=1, columns=4096, inner=4096, weight_bits=4.5)
    assert shape.bytes.value == 4096 * 4096 * 4.5 / 8 + 2 * 8192
    assert product(GPU, shape).time.value == stream(GPU, shape.bytes).time.value


def test_attention_reads_the_cache_or_computes() -> None:
    cached = Bytes(2.0 * 2 * 128 * 10000 * 8)
    one = attention(GPU, operations=Operations(4.0 * 10000 * 32 * 128), cached=cached)
    assert (one.time - GPU.launch).value == pytest.approx(cached.value / 1.4e12)
    many = attention(GPU, operations=Operations(4.0 * 10000 * 5000 * 32 * 128), cached=cached)
    assert (many.time - GPU.launch).value == pytest.approx(4 * 10000 * 5000 * 32 * 128 / 180e12)


def test_time_is_charged_to_what_decides() -> None:
    few, many = (product(GPU, Shape(rows=rows, columns=12800, inner=4096)) for rows in (1, 12800))
    assert few.binding() == MEMORY
    assert many.binding() == ARITHMETIC
    assert few.charged[LAUNCHES].value == GPU.launch.value


def test_grids_are_their_points() -> None:
    rows, inner = np.array([1.0, 64.0, 5000.0])[:, None], np.array([128.0, 12288.0])
    grid = product(GPU, Shape(rows=rows, columns=4096, inner=inner)).time.value
    points = [[product(GPU, Shape(rows=r, columns=4096, inner=k)).time.value for k in inner] for r in rows[:, 0]]
    np.testing.assert_array_equal(grid, points)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"product_share": 1.2}, "GPU gpu product_share must be above 0 and at most 1, not 1.2"),
        ({"memory_share": 0.0}, "GPU gpu memory_share must be above 0 and at most 1, not 0.0"),
        ({"multiprocessors": 0}, "GPU gpu multiprocessors must be 1 or more, not 0"),
        ({"memory": BytesPerSecond(-1.0)}, "GPU gpu memory must be above 0, not -1.0"),
        ({"launch": Seconds(-1e-6)}, "GPU gpu launch must be 0 s or more, not -1e-06 s"),
    ],
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError, match=f"^{text}$"):
        GpuRates(**(RATES | changes))
