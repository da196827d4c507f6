"""Checks model configurations: published shapes, the two spellings of config.json, and every refusal's text."""

import dataclasses
import json
import math

import pytest

from hwsim.errors import CheckpointError
from models.checkpoint.layout import tensor_shapes
from models.config import ModelConfig, RopeScaling
from models.zoo import shape

BIASES = "biases are read of the query, key and value projections of Qwen2 alone"

# Parameter counts that the models' cards state.
PARAMETERS = {
    "llama-2-7b": 6_738_415_616,
    "llama-3-8b": 8_030_261_248,
    "mistral-7b": 7_241_732_096,
    "qwen2-0.5b": 494_032_768,
    "smollm2-135m": 134_515_008,
}

DOCUMENT = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000,
    "max_position_embeddings": 512,
}


def parameters(config: ModelConfig) -> int:
    """Return the parameters of a whole model; a tied head counts once."""
    return sum(map(math.prod, tensor_shapes(config).values()))


def test_shapes_have_the_published_sizes() -> None:
    assert {name: parameters(shape(name)) for name in PARAMETERS} == PARAMETERS


def test_linear_layers_of_smollm2() -> None:
    linears = [size for name, size in tensor_shapes(shape("smollm2-135m")).items() if name.endswith("_proj.weight")]
    assert sum(map(math.prod, linears)) == 106_168_320


@pytest.mark.parametrize("name", PARAMETERS)
def test_json_round_trip(name: str) -> None:
    assert ModelConfig.from_json(shape(name).to_json()) == shape(name)


def test_json_round_trip_with_scaling() -> None:
    config = dataclasses.replace(shape("llama-3-8b"), rope_scaling=RopeScaling(kind="llama3", factor=8.0, original_positions=8192))
    assert ModelConfig.from_json(config.to_json()) == config


def test_both_spellings_of_rope_scaling_agree() -> None:
    entries = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }
    old = DOCUMENT | {"rope_scaling": entries}
    new = {key: value for key, value in DOCUMENT.items() if key != "rope_theta"}
    new["rope_parameters"] = entries | {"rope_theta": 10000}
    assert ModelConfig.from_huggingface(old) == ModelConfig.from_huggingface(new)
    assert ModelConfig.from_huggingface(old).rope_scaling.kind == "llama3"


def test_family_defaults() -> None:
    config = ModelConfig.from_huggingface(DOCUMENT, name="tiny")
    assert (config.name, config.head_dim, config.tied_head, config.qkv_bias) == ("tiny", 16, False, False)
    qwen = ModelConfig.from_huggingface(DOCUMENT | {"architectures": ["Qwen2ForCausalLM"], "sliding_window": 9})
    assert (qwen.qkv_bias, qwen.sliding_window) == (True, None)
    normed = ModelConfig.from_huggingface(DOCUMENT | {"architectures": ["Qwen3ForCausalLM"], "layer_types": ["full_attention"] * 2})
    assert (normed.qkv_bias, normed.has_head_norms, normed.head_dim, qwen.has_head_norms) == (False, True, 128, False)
    mistral = ModelConfig.from_huggingface(DOCUMENT | {"architectures": ["MistralForCausalLM"], "sliding_window": 9})
    assert mistral.sliding_window == 9


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"architectures": ["Qwen4ForCausalLM"]},
            "Model architecture must be one of LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM "
            "(nearest: Qwen3ForCausalLM), not 'Qwen4ForCausalLM'",
        ),
        ({"architectures": None}, "config.json architectures must be a list of one name, not None"),
        ({"hidden_size": None}, "config.json hidden_size must be a positive integer, not None"),
        ({"hidden_size": 66}, "config.json hidden_size must be a multiple of 4 heads, not 66"),
        ({"vocab_size": -1}, "config.json vocab_size must be a positive integer, not -1"),
        ({"vocab_size": 2**31}, "config.json vocab_size must be at most 2,147,483,647, not 2147483648"),
        ({"num_hidden_layers": 10**8}, "config.json num_hidden_layers must be at most 4,096, not 100000000"),
        (
            {"num_hidden_layers": 10**9, "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": True, "max_window_layers": 0},
            "config.json num_hidden_layers must be at most 4,096, not 1000000000",
        ),
        ({"rope_theta": 10**400}, f"config.json rope_theta must be a positive number, not 1{'0' * 198}…"),
        ({"num_hidden_layers": True}, "config.json num_hidden_layers must be a positive integer, not True"),
        ({"rms_norm_eps": "x"}, "config.json rms_norm_eps must be a positive number, not 'x'"),
        ({"rope_theta": float("inf")}, "config.json rope_theta must be a positive number, not inf"),
        ({"num_key_value_heads": 3}, "Model heads must be a multiple of its 3 kv_heads, not 4"),
        ({"head_dim": 15}, "Model head_dim must be even, not 15"),
        ({"num_hidden_layers": 10**9}, "config.json num_hidden_layers must be at most 4,096, not 1000000000"),
        (
            {"num_hidden_layers": 10**9, "use_sliding_window": True},
            "config.json num_hidden_layers must be at most 4,096, not 1000000000",
        ),
        ({"vocab_size": 1 << 31}, "config.json vocab_size must be at most 2,147,483,647, not 2147483648"),
        ({"rope_theta": 10**400}, f"config.json rope_theta must be a positive number, not 1{'0' * 198}…"),
        (
            {"hidden_act": "gelu"},
            'config.json hidden_act must be "silu" or "swish", not "gelu": the gated feed-forward layer takes SiLU alone',
        ),
        ({"attention_bias": True}, "config.json attention_bias must be false, not true: " + BIASES),
        ({"mlp_bias": 1}, "config.json mlp_bias must be false, not 1: " + BIASES),
        ({"partial_rotary_factor": 0.5}, "config.json partial_rotary_factor must be 1, not 0.5"),
        ({"quantization_config": {}}, "config.json quantization_config must be absent, not {}: give the unquantized checkpoint"),
        (
            {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": True, "max_window_layers": 1},
            "config.json layer_types and max_window_layers must make all 2 layers slide or none, not some: layers are alike",
        ),
        (
            {"architectures": ["Qwen3ForCausalLM"], "layer_types": ["full_attention", "sliding_attention"]},
            "config.json layer_types and max_window_layers must make all 2 layers slide or none, not some: layers are alike",
        ),
        (
            {"architectures": ["Qwen3ForCausalLM"], "attention_bias": True},
            f"config.json attention_bias must be false, not true: {BIASES}",
        ),
        ({"rope_scaling": 3}, "config.json rope_scaling must be an object, not 3"),
        ({"rope_scaling": {"rope_type": "dynamic"}}, "RoPE scaling must be one of default, linear, llama3, yarn, not 'dynamic'"),
        ({"rope_scaling": {"type": "linear"}}, "config.json factor must be a positive number, not None"),
    ],
)
def test_refusals_of_published_configurations(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        ModelConfig.from_huggingface(DOCUMENT | changes)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden": 0}, "Model hidden must be a positive integer, not 0"),
        ({"layers": 4097}, "Model layers must be at most 4,096, not 4097"),
        ({"tied_head": 1}, "Model tied_head must be true or false, not 1"),
        ({"name": ""}, "Model name must be a text, not ''"),
        (
            {"architecture": "Qwen3ForCausalLM", "qkv_bias": True},
            "Model qkv_bias must be false in a Qwen3ForCausalLM, whose heads are normalized, not True",
        ),
        ({"sliding_window": 0}, "Model sliding_window must be a positive integer, not 0"),
        (
            {"rope_scaling": {"kind": "yarns"}},
            "RoPE scaling must be one of linear, llama3, none, yarn (nearest: yarn), not 'yarns'",
        ),
        ({"rope_scaling": {"kind": "llama3", "factor": 2.0}}, "RoPE scaling original_positions must be a positive integer, not 0"),
        (
            {"rope_scaling": {"low_frequency_factor": 4.0}},
            "RoPE scaling high_frequency_factor must be above low_frequency_factor 4.0, not 4.0",
        ),
        ({"rope_scaling": 3}, "RoPE scaling must be a mapping, not 3"),
    ],
)
def test_refusals_of_fields(changes: dict[str, object], sentence: str) -> None:
    document = json.loads(shape("smollm2-135m").to_json()) | changes
    with pytest.raises(CheckpointError) as refusal:
        ModelConfig.from_fields(document)
    assert str(refusal.value) == sentence


def test_refusals_of_documents() -> None:
    with pytest.raises(CheckpointError, match=r"^Model configuration must be JSON, but reading it failed: "):
        ModelConfig.from_json("{")
    with pytest.raises(CheckpointError, match=r"^Model configuration must have the field name, which is missing$"):
        ModelConfig.from_json("{}")
    with pytest.raises(CheckpointError, match=r"^Model configuration field must be one of .*nearest: hidden\), not 'hiden'"):
        ModelConfig.from_json('{"hiden": 3}')
    with pytest.raises(CheckpointError, match=r"^config.json must hold one object, not list$"):
        ModelConfig.from_huggingface([])
