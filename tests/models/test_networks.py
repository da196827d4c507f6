"""Networks from configurations: sizes that publishers state, families with names of their own, and refusals."""

import json
from pathlib import Path

import pytest

from hwsim.errors import CheckpointError
from models.networks import names, network
from models.shapes import names as shape_names
from models.shapes import shape


@pytest.mark.parametrize(
    ("name", "billions", "cache_bytes"),
    [
        # Parameters as the names and papers have them; cache of a token in 16 bits over all layers.
        ("opt-6.7b", 6.7, 524288),
        ("opt-13b", 12.9, 819200),
        ("opt-175b", 175, 4718592),
        ("llama-2-7b", 6.74, 524288),
        ("llama-2-70b", 69, 327680),
        ("llama-3-8b", 8.03, 131072),
        ("mistral-7b", 7.24, 131072),
        ("qwen2-7b", 7.62, 57344),
        ("yi-9b", 8.83, 98304),
        ("glm-4-9b", 9.48, 81920),
    ],
)
def test_published_sizes(name: str, billions: float, cache_bytes: int) -> None:
    found = network(name)
    assert found.weights / 1e9 == pytest.approx(billions, rel=0.01)
    assert 2 * found.layers * found.cached_values == cache_bytes


@pytest.mark.parametrize("name", sorted(set(names()) & set(shape_names())))
def test_shapes_and_networks_agree(name: str) -> None:
    found, other = network(name), shape(name)
    sizes = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
    assert [getattr(found, size) for size in sizes] == [getattr(other, size) for size in sizes]
    assert found.is_tied == other.tied_head
    # The float model's count has gains beside the matrices.
    assert found.weights == other.parameters - (2 * other.layers + 1) * other.hidden


def test_a_configuration_of_ones_own(tmp_path: Path) -> None:
    fields = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(fields | {"intermediate_size": 128, "vocab_size": 100}))
    found = network(str(tmp_path))
    assert (found.kv_heads, found.head_dim) == (4, 16)
    (tmp_path / "config.json").write_text(json.dumps(fields | {"vocab_size": 100}))
    with pytest.raises(CheckpointError, match="must have intermediate_size, which is missing"):
        network(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(fields | {"model_type": "lama"}))
    with pytest.raises(CheckpointError, match=r"model_type must be one of .* \(nearest: llama\), not 'lama'"):
        network(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="must be JSON, but"):
        network(str(tmp_path))
    with pytest.raises(CheckpointError, match=r"Network must be .* \(nearest: llama-2-7b\) or a config.json, not 'llama2-7b'"):
        network("llama2-7b")
