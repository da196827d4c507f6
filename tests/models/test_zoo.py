"""The zoo: what each file says, two readings of it that agree, every kind of source, and refusals."""

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from hwsim.errors import CheckpointError
from models.checkpoint.layout import tensor_shapes
from models.config import DESCRIPTION
from models.families import ARCHITECTURES, FAMILIES, SIZES, family_of
from models.zoo import names, network, shape

DOCUMENTS = {name: json.loads((resources.files("models.zoo") / f"{name}.json").read_text()) for name in names()}
RUN = [name for name in names() if family_of(DOCUMENTS[name]).is_run]
FIELDS = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
}


def written(folder: Path, **changes: object) -> str:
    """Return a folder in which config.json says FIELDS with changes; None takes an entry away."""
    fields = {key: value for key, value in (FIELDS | changes).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(fields))
    return str(folder)


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
        ("qwen3-0.6b", 0.596, 114688),
        ("qwen3-8b", 8.19, 147456),
        ("yi-9b", 8.83, 98304),
        ("glm-4-9b", 9.48, 81920),
    ],
)
def test_published_sizes(name: str, billions: float, cache_bytes: int) -> None:
    found = network(name)
    assert found.weights / 1e9 == pytest.approx(billions, rel=0.01)
    assert 2 * found.layers * found.cached_values == cache_bytes


@pytest.mark.parametrize("name", names())
def test_every_file_says_its_source_and_its_family(name: str) -> None:
    document = DOCUMENTS[name]
    assert isinstance(document["source"], str) and document["source"]
    assert document["architectures"] == [FAMILIES[document["model_type"]].architecture]
    assert network(name).name == name


@pytest.mark.parametrize("name", RUN)
def test_both_readings_agree(name: str) -> None:
    found, other = network(name), shape(name)
    assert found.name == other.name
    assert [getattr(found, size) for size in SIZES] == [getattr(other, size) for size in SIZES]
    assert found.is_tied == other.tied_head
    matrices = [size for size in tensor_shapes(other).values() if len(size) == 2]
    assert found.weights == sum(map(math.prod, matrices))


@pytest.mark.parametrize("name", RUN)
def test_what_the_engine_runs_leaves_nothing_to_defaults(name: str) -> None:
    stated = {"rms_norm_eps", "rope_theta", "max_position_embeddings", "tie_word_embeddings", "num_key_value_heads"}
    assert stated <= set(DOCUMENTS[name])


def test_constants_that_publishers_state() -> None:
    constants = {name: (shape(name).norm_eps, shape(name).rope_base, shape(name).max_positions) for name in RUN}
    assert constants == {
        "llama-2-13b": (1e-5, 1e4, 4096),
        "llama-2-70b": (1e-5, 1e4, 4096),
        "llama-2-7b": (1e-5, 1e4, 4096),
        "llama-3-70b": (1e-5, 5e5, 8192),
        "llama-3-8b": (1e-5, 5e5, 8192),
        "mistral-7b": (1e-5, 1e4, 32768),
        "qwen2-0.5b": (1e-6, 1e6, 131072),
        "qwen2-7b": (1e-6, 1e6, 131072),
        "qwen3-0.6b": (1e-6, 1e6, 40960),
        "qwen3-8b": (1e-6, 1e6, 40960),
        "smollm2-135m": (1e-5, 1e5, 8192),
        "yi-9b": (1e-6, 1e4, 4096),
    }
    assert [name for name in RUN if shape(name).qkv_bias] == ["qwen2-0.5b", "qwen2-7b"]
    assert [name for name in RUN if shape(name).has_head_norms] == ["qwen3-0.6b", "qwen3-8b"]
    assert [name for name in RUN if shape(name).tied_head] == ["qwen2-0.5b", "qwen3-0.6b", "smollm2-135m"]
    assert {name: shape(name).sliding_window for name in RUN if shape(name).sliding_window} == {"mistral-7b": 4096}


def test_a_configuration_by_its_path_is_the_one_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "qwen2-0.5b"
    folder.mkdir()
    file = folder / "config.json"
    file.write_text(json.dumps(DOCUMENTS["qwen2-0.5b"] | {"_name_or_path": "elsewhere"}))
    other = file.rename(tmp_path / "qwen2-0.5b.json")
    for source in (other, Path(str(resources.files("models.zoo") / "qwen2-0.5b.json"))):
        assert (network(str(source)), shape(str(source))) == (network("qwen2-0.5b"), shape("qwen2-0.5b"))
    other.rename(file)
    for source in (folder, file):
        assert (network(str(source)), shape(str(source))) == (network("qwen2-0.5b"), shape("qwen2-0.5b"))


def test_a_compressed_model_is_read_without_its_weights(tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text(json.dumps({"config": json.loads(shape("smollm2-135m").to_json())}))
    assert (network(str(tmp_path)), shape(str(tmp_path))) == (network("smollm2-135m"), shape("smollm2-135m"))
    (tmp_path / DESCRIPTION).write_text("{}")
    with pytest.raises(CheckpointError, match="^Model configuration must be a mapping, not None$"):
        shape(str(tmp_path))


def test_a_gguf_file_is_read() -> None:
    from models.checkpoint import shipped

    file = shipped.locate("smollm2-135m")
    assert shape(str(file)) == dataclasses.replace(shape("smollm2-135m"), name=file.stem)
    assert network(str(file)) == dataclasses.replace(network("smollm2-135m"), name=file.stem)


def test_entries_that_a_configuration_may_leave_out(tmp_path: Path) -> None:
    for changes in ({}, {"architectures": None}, {"model_type": None}):
        folder = written(tmp_path, **changes)
        assert (network(folder).kv_heads, network(folder).head_dim, network(folder).is_tied) == (4, 16, False)
        assert (shape(folder).kv_heads, shape(folder).head_dim, shape(folder).architecture) == (4, 16, "LlamaForCausalLM")


def test_an_estimate_takes_what_the_engine_refuses(tmp_path: Path) -> None:
    folder = written(tmp_path, quantization_config={})
    assert network(folder).layers == 2
    with pytest.raises(CheckpointError, match="^config.json quantization_config must be absent"):
        shape(folder)


@pytest.mark.parametrize("reading", [network, shape])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"intermediate_size": None}, "config.json intermediate_size must be a positive integer, not None"),
        ({"num_attention_heads": "4"}, "config.json num_attention_heads must be a positive integer, not '4'"),
        ({"num_attention_heads": 5}, "config.json hidden_size must be a multiple of 5 heads, not 64"),
        ({"tie_word_embeddings": 1}, "config.json tie_word_embeddings must be true or false, not 1"),
        (
            {"model_type": "lama", "architectures": None},
            "config.json model_type must be one of chatglm, llama, mistral, opt, qwen2, qwen3 (nearest: llama), not 'lama'",
        ),
    ],
)
def test_refusals_of_configurations(
    reading: Callable[[str], object], changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        reading(written(tmp_path, **changes))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("reading", [network, shape])
def test_refusals_of_files(reading: Callable[[str], object], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for text, sentence in (
        ("{", "^File config.json must be JSON, but reading it failed: "),
        ("[" * 100_000, "^File config.json must be JSON, but reading it failed: "),
        ("3", "^File config.json must hold one object, not int$"),
        (" " * ((1 << 24) + 1), "^File config.json must be JSON of at most 16777216 bytes, not of 16777217$"),
    ):
        file.write_text(text)
        with pytest.raises(CheckpointError, match=sentence):
            reading(str(file))
    file.unlink()
    with pytest.raises(CheckpointError, match=f"^Folder {tmp_path.name} must hold config.json, which is missing$"):
        reading(str(tmp_path))


@pytest.mark.parametrize("reading", [network, shape])
def test_an_unknown_name_points_to_the_nearest(reading: Callable[[str], object]) -> None:
    with pytest.raises(CheckpointError) as refusal:
        reading("llama2-7b")
    assert str(refusal.value) == (
        f"Model must be one of {', '.join(names())} (nearest: llama-2-7b), "
        "or a config.json, a folder with one, a compressed model or a .gguf file, not 'llama2-7b'"
    )
    with pytest.raises(CheckpointError, match=r"not 'x{150,200}…'$"):
        reading("x" * 5000)


@pytest.mark.parametrize("name", sorted(set(names()) - set(RUN)))
def test_families_that_the_engine_does_not_run(name: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        shape(name)
    assert str(refusal.value) == (
        f"Model {name} must be of an architecture that the engine runs (LlamaForCausalLM, MistralForCausalLM, "
        f"Qwen2ForCausalLM, Qwen3ForCausalLM), not {family_of(DOCUMENTS[name]).architecture}, of which there are only estimates"
    )


def test_architectures_are_the_families_that_run() -> None:
    assert {kind: family.model_type for kind, family in FAMILIES.items()} == {kind: kind for kind in FAMILIES}
    assert list(ARCHITECTURES) == ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"]


def test_reading_the_zoo_loads_no_large_package() -> None:
    code = (
        "import sys; from models.zoo import network, shape; network('opt-13b'), shape('llama-2-13b'); "
        "print([name for name in ('torch', 'numba', 'amaranth', 'transformers', 'gguf') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert shown.stdout == "[]\n"
