"""Workloads: sizes by hand, and grids at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError

SMALL = Network(name="small", layers=2, hidden=8, heads=4, kv_heads=2, head_dim=2, ffn=16, vocab=10, is_gated=True, is_tied=False)


def test_sizes_by_hand() -> None:
    # Queries and output 8 x 8 each, keys and values 8 x 4 each; gate, up and down 8 x 16 each.
    assert SMALL.attention_weights == 64 + 64 + 32 + 32
    assert SMALL.ffn_weights == 3 * 128
    assert SMALL.weights == 2 * (192 + 384) + 2 * 80
    work = Workload(network=SMALL, prompt=3, generated=2, batch=5, weight_bits=2, cache_bits=4)
    assert work.layer_bytes.value == 576 / 4
    assert work.cache_bytes(7).value == 5 * 7 * 8 / 2
    assert work.layer_operations(3).value == 2 * 576 * 5 * 3
    assert work.attention_operations(1, 7).value == 4 * 5 * 7 * 8


def test_grids_are_their_points() -> None:
    batches, prompts = np.array([1.0, 4.0, 16.0])[:, None], np.array([10.0, 100.0])
    grid = Workload(network=SMALL, prompt=prompts, generated=8, batch=batches)
    found = grid.cache_bytes(prompts).value
    assert found.shape == (3, 2)
    for row, batch in enumerate(batches[:, 0]):
        for column, prompt in enumerate(prompts):
            point = Workload(network=SMALL, prompt=prompt, generated=8, batch=batch)
            assert found[row, column] == point.cache_bytes(prompt).value


def test_a_step_has_half_of_what_is_generated_cached_in_the_mean() -> None:
    work = Workload(network=SMALL, prompt=100, generated=40, batch=1)
    assert work.tokens == 140
    assert work.step_context == 120
    # The mean over steps that find 100, 101, ... 139 tokens and their own.
    assert work.step_context == pytest.approx(np.mean(np.arange(100, 140) + 0.5))


def test_a_window_caps_what_is_cached_and_nothing_else() -> None:
    dense = Workload(network=SMALL, prompt=100, generated=40, batch=2)
    capped = Workload(network=SMALL, prompt=100, generated=40, batch=2, window=64)
    assert (dense.cached(50), dense.cached(1e9)) == (50, 1e9)
    assert (capped.cached(50), capped.cached(64), capped.cached(65)) == (50, 64, 64)
    assert (capped.step_context, capped.tokens) == (64, 140)
    assert capped.cache_bytes(capped.cached(capped.tokens)).value == 2 * 64 * 8 * 2
    assert capped.layer_operations(3).value == dense.layer_operations(3).value
    wide = Workload(network=SMALL, prompt=100, generated=40, batch=2, window=140)
    assert wide.step_context == dense.step_context


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1, 2e6))
def test_what_is_cached_lies_within_window_and_context(prompt: int, generated: int, window: float) -> None:
    work = Workload(network=SMALL, prompt=prompt, generated=generated, batch=1, window=window)
    assert work.step_context <= min(window, prompt + generated / 2)
    assert work.cached(prompt) <= work.step_context <= work.cached(work.tokens)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 700))
def test_means_of_what_is_cached_are_those_of_all_tokens(prompt: int, generated: int, window: int) -> None:
    work = Workload(network=SMALL, prompt=prompt, generated=generated, batch=1, window=window)
    kept = np.minimum(np.arange(prompt + generated) + 0.5, window)
    assert work.prompt_context == pytest.approx(kept[:prompt].mean())
    assert work.step_context == pytest.approx(kept[prompt:].mean())


def test_windows_make_a_grid() -> None:
    windows, prompts = np.array([[10.0], [1000.0], [np.inf]]), np.array([5.0, 500.0, 50_000.0])
    grid = Workload(network=SMALL, prompt=prompts, generated=8, batch=1, window=windows)
    expected = [[8.4375, 10, 10], [9, 504, 1000], [9, 504, 50_004]]
    assert np.asarray(grid.step_context).tolist() == expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch": 0}, "Workload batch must be above 0, not 0"),
        ({"prompt": np.array([3.0, -1.0])}, r"Workload prompt must be above 0, not array\(\[ 3., -1.\]\)"),
        ({"generated": float("nan")}, "Workload generated must be above 0, not nan"),
        ({"cache_bits": "four"}, "Workload cache_bits must be above 0, not 'four'"),
        ({"prompt": float("inf")}, "Workload prompt must be above 0, not inf"),
        ({"window": 0}, "Workload window must be above 0, not 0"),
        ({"window": np.array([8.0, -1.0])}, r"Workload window must be above 0, not array\(\[ 8., -1.\]\)"),
        ({"window": float("nan")}, "Workload window must be above 0, not nan"),
        ({"window": "all"}, "Workload window must be above 0, not 'all'"),
    ],
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError, match=f"^{text}$"):
        Workload(**({"network": SMALL, "prompt": 3, "generated": 2, "batch": 5} | changes))


def test_networks_that_are_refused() -> None:
    with pytest.raises(SpecError, match="Network odd heads must be a multiple of its 3 kv_heads, not 4"):
        Network(name="odd", layers=1, hidden=8, heads=4, kv_heads=3, head_dim=2, ffn=4, vocab=9, is_gated=False, is_tied=True)
