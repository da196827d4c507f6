"""GPU operators: no faster than the roofline, as slow as one wave at least, the same alone and in a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.operators import GpuRates, Shape, attention, product, stream
from hwsim.units import Bytes, BytesPerSecond, OperationsPerSecond, Seconds

RATES = {
    "name": "gpu",
    "peak": OperationsPerSecond.of("300 TFLOP/s"),
    "memory": BytesPerSecond.of("2000 GB/s"),
    "multiprocessors": 100,
    "product_share": 0.9,
    "memory_share": 0.8,
    "launch": Seconds.of("5 us"),
}
GPU = GpuRates(**RATES)
SIZES = st.integers(1, 20000)


@given(SIZES, SIZES, SIZES)
def test_a_product_stays_under_the_roofline(rows: int, columns: int, inner: int) -> None:
    shape = Shape(rows=rows, columns=columns, inner=inner)
    busy = product(GPU, shape) - GPU.launch
    assert busy.value >= (shape.operations / GPU.product_rate).value * (1 - 1e-9)
    assert busy.value >= (shape.bytes / GPU.memory_rate).value * (1 - 1e-9)


def test_whole_waves_reach_the_peak() -> None:
    # Ten by ten tiles of 128 x 128 on a hundred multiprocessors; one more row of tiles costs a whole wave.
    full, more = (Shape(rows=128 * count, columns=1280, inner=1e6) for count in (10, 11))
    assert (product(GPU, full) - GPU.launch).value == pytest.approx((full.operations / GPU.product_rate).value)
    assert (product(GPU, more) - GPU.launch).value == pytest.approx(2 * (product(GPU, full) - GPU.launch).value)


def test_a_few_rows_read_the_weights() -> None:
    shape = Shape(rows=1, columns=4096, inner=4096, weight_bits=4.5)
    assert shape.bytes.value == 4096 * 4096 * 4.5 / 8 + 2 * 8192
    assert product(GPU, shape).value == stream(GPU, shape.bytes).value


def test_attention_reads_the_cache_or_computes() -> None:
    cached = Bytes(2.0 * 2 * 128 * 10000 * 8)
    one = attention(GPU, queries=1, keys=10000, heads=32, head_dim=128, cached=cached)
    assert one.value == stream(GPU, cached).value
    many = attention(GPU, queries=10000, keys=5000, heads=32, head_dim=128, cached=cached)
    assert (many - GPU.launch).value == pytest.approx(4 * 10000 * 5000 * 32 * 128 / GPU.product_rate.value)


def test_grids_are_their_points() -> None:
    rows, inner = np.array([1.0, 64.0, 5000.0])[:, None], np.array([128.0, 12288.0])
    grid = product(GPU, Shape(rows=rows, columns=4096, inner=inner)).value
    points = [[product(GPU, Shape(rows=r, columns=4096, inner=k)).value for k in inner] for r in rows[:, 0]]
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
