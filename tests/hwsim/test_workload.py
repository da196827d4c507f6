"""Workloads: sizes by hand, and grids at once."""

import numpy as np
import pytest

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError

SMALL = Network(
    name="small", layers=2, hidden=8, heads=4, kv_heads=2, head_dim=2, ffn=16, vocab=10, is_gated=True, is_tied=False
)


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


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch": 0}, "Workload batch must be above 0, not 0"),
        ({"prompt": np.array([3.0, -1.0])}, r"Workload prompt must be above 0, not array\(\[ 3., -1.\]\)"),
        ({"generated": float("nan")}, "Workload generated must be above 0, not nan"),
        ({"cache_bits": "four"}, "Workload cache_bits must be above 0, not 'four'"),
    ],
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError, match=f"^{text}$"):
        Workload(**({"network": SMALL, "prompt": 3, "generated": 2, "batch": 5} | changes))


def test_networks_that_are_refused() -> None:
    with pytest.raises(SpecError, match="Network odd heads must be a multiple of its 3 kv_heads, not 4"):
        Network(name="odd", layers=1, hidden=8, heads=4, kv_heads=3, head_dim=2, ffn=4, vocab=9, is_gated=False, is_tied=True)
