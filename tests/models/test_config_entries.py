"""Entries of config.json: each field of transformers at another value gives its logits, or is refused by name."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers

from hwsim.errors import CheckpointError
from models.checkpoint import load
from models.config import ModelConfig
from models.entries import CONFIG, GENERATION
from models.families import ARCHITECTURES
from models.reference.llama import Llama, trained_pattern

Save = Callable[..., tuple[Path, torch.nn.Module]]

SEED = 20261130
TOKENS = 40
ROPE = {"rope_theta": 500.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

# Other values of every field of transformers' Llama, Mistral, Qwen2 and Qwen3 configurations.
OTHERS: dict[str, list[object]] = {
    "architectures": [["GemmaForCausalLM"], None],
    "attention_bias": [True, False],
    "attention_dropout": [0.5],
    "bos_token_id": [None, 5],
    "chunk_size_feed_forward": [8],
    "dtype": ["bfloat16", None],
    "eos_token_id": [[3, 4], None],
    "head_dim": [16, None],
    "hidden_act": ["gelu", "swish", "relu"],
    "hidden_size": [96],
    "id2label": [{"0": "a", "1": "b", "2": "c"}],
    "initializer_range": [0.5],
    "intermediate_size": [64],
    "is_encoder_decoder": [True],
    "label2id": [{"a": 0}],
    "layer_types": [["sliding_attention"] * 2, ["full_attention", "sliding_attention"], ["full_attention"] * 2, None],
    "max_position_embeddings": [64, 4096],
    "max_window_layers": [0, 1, 2],
    "mlp_bias": [True, False],
    "num_attention_heads": [3, 12],
    "num_hidden_layers": [1, 3],
    "num_key_value_heads": [1, 3, 6, None],
    "output_hidden_states": [True],
    "pad_token_id": [3],
    "pretraining_tp": [2],
    "problem_type": ["regression"],
    "return_dict": [False],
    "rms_norm_eps": [1e-3, 0.05, 1e-12],
    "rope_parameters": [None, {"rope_type": "default", **ROPE}, YARN | ROPE, {"rope_type": "proportional", **ROPE}],
    "sliding_window": [7, None],
    # True is tried below, with the tensors that there may be.
    "tie_word_embeddings": [False],
    "transformers_version": ["4.0.0"],
    "use_cache": [False],
    "use_sliding_window": [True, False],
    "vocab_size": [90, 128],
}

# What a model may say together, old spellings among it, and whether it is honoured or else refused by a sentence with these words.
TOGETHER: list[tuple[str, dict[str, object], str]] = [
    ("Llama", {"rope_scaling": YARN}, ""),
    ("Llama", {"rope_scaling": YARN, "rope_parameters": {"rope_type": "default", "rope_theta": 300.0}}, ""),
    ("Llama", {"rope_scaling": YARN, "rope_parameters": None, "rope_theta": 300.0}, ""),
    ("Llama", {"rope_scaling": YARN | {"rope_theta": 200.0}, "rope_theta": 300.0}, ""),
    ("Llama", {"rope_scaling": {"type": "linear", "factor": 3.0}, "rope_parameters": LLAMA3}, ""),
    ("Llama", {"rope_scaling": {}, "rope_parameters": LLAMA3}, ""),
    ("Llama", {"rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 3.0}}, ""),
    ("Llama", {"rope_scaling": None, "rope_parameters": LLAMA3 | ROPE}, ""),
    ("Mistral", {"rope_parameters": LLAMA3 | ROPE, "original_max_position_embeddings": 16}, ""),
    ("Mistral", {"rope_parameters": YARN | ROPE, "original_max_position_embeddings": 16}, ""),
    ("Qwen2", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, **ROPE}, "max_position_embeddings": 40}, ""),
    ("Qwen2", {"rope_parameters": YARN | ROPE | {"factor": None}, "max_position_embeddings": 256}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"mscale": 1.5, "mscale_all_dim": 0.5}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"mscale": 1.5}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"mscale": 1.5, "mscale_all_dim": 0.5, "attention_factor": 1.3}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"truncate": False}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"beta_fast": 4.0, "beta_slow": 0.5}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"original_max_position_embeddings": 3}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"original_max_position_embeddings": 3, "truncate": False}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"factor": 0.5}}, ""),
    ("Llama", {"rope_parameters": YARN | ROPE | {"low_freq_factor": 1.0}}, "'low_freq_factor'"),
    ("Llama", {"rope_parameters": YARN | ROPE | {"mscal": 1.0}}, "nearest: mscale"),
    ("Llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
    ("Llama", {"rope_parameters": {"rope_type": "longrope", "short_factor": [1] * 4, "long_factor": [2] * 4}}, "'longrope'"),
    ("Llama", {"rope_parameters": {"full_attention": YARN, "sliding_attention": YARN}}, "'full_attention'"),
    ("Llama", {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ("Llama", {"rope_parameters": YARN | {"rope_theta": None}}, "rope_theta"),
    ("Llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ("Llama", {"partial_rotary_factor": 1.0}, ""),
    ("Llama", {"original_max_position_embeddings": 16}, ""),
    ("Llama", {"sliding_window": 7}, "sliding_window"),
    ("Llama", {"rms_norm_eps": 1e300}, "rms_norm_eps"),
    ("Llama", {"rms_norm_eps": 0}, "rms_norm_eps"),
    ("Llama", {"rms_norm_eps": -1e-5}, "rms_norm_eps"),
    ("Llama", {"rope_parameters": {"rope_theta": 0.5}}, "rope_theta"),
    ("Llama", {"model_type": "mistral"}, "model_type"),
    ("Llama", {"embedding_multiplier": 12.0}, "'embedding_multiplier'"),
    ("Llama", {"logits_scaling": 8.0}, "'logits_scaling'"),
    ("Llama", {"residual_multiplier": 0.5}, "'residual_multiplier'"),
    ("Llama", {"attention_multiplier": 0.5}, "'attention_multiplier'"),
    ("Llama", {"final_logit_softcapping": 30.0}, "'final_logit_softcapping'"),
    ("Llama", {"layer_norm_eps": 1e-3}, "'layer_norm_eps'"),
    ("Llama", {"num_local_experts": 8}, "'num_local_experts'"),
    ("Llama", {"slidding_window": 7}, "nearest: sliding_window"),
    ("Llama", {"per_layer_config": {"0": {"rms_norm_eps": 1e-3}}}, "per_layer_config"),
    ("Llama", {"transformers_weights": "other.safetensors"}, "transformers_weights"),
    ("Llama", {"auto_map": {"AutoModelForCausalLM": "code.Model"}}, "auto_map"),
    ("Llama", {"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
    ("Llama", {"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ("Llama", {"pruned_heads": {}, "torch_dtype": "float16", "top_k": 50, "is_decoder": True}, ""),
    ("Mistral", {"sliding_window": 7, "layer_types": ["sliding_attention"] * 2}, ""),
    ("Mistral", {"sliding_window": 7, "layer_types": ["full_attention"] * 2}, "layer_types"),
    ("Mistral", {"sliding_window": None, "layer_types": ["sliding_attention"] * 2}, "layer_types"),
    ("Mistral", {"sliding_window": 7, "use_sliding_window": False}, "use_sliding_window"),
    ("Mistral", {"sliding_window": 7, "max_window_layers": 1}, "max_window_layers"),
    ("Mistral", {"sliding_window": 0}, "sliding_window"),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 0}, ""),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1, "layer_types": None}, "max_window_layers"),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2}, ""),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0}, ""),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["sliding_attention"] * 2}, ""),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention"] * 2}, ""),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention"]}, "layer_types"),
    ("Qwen2", {"use_sliding_window": False, "layer_types": ["sliding_attention"] * 2}, "layer_types"),
    ("Qwen2", {"architectures": ["Qwen3ForCausalLM"]}, "model_type"),
]


def tokens() -> torch.Tensor:
    return torch.randint(0, 90, (TOKENS,), generator=torch.Generator().manual_seed(SEED))


def their_logits(family: str, folder: Path, document: Mapping[str, object]) -> torch.Tensor:
    """Return what transformers computes with the tensors of a folder under a configuration."""
    config = getattr(transformers, f"{family}Config")(**json.loads(json.dumps(document)))
    # What is returned, and by which of several ways it is computed, changes no logits.
    config._attn_implementation, config.return_dict = "eager", True
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name in model.state_dict()}, strict=False)
    with torch.no_grad():
        return model(tokens()[None]).logits[0]


def differs(family: str, folder: Path, document: Mapping[str, object]) -> bool:
    """Return whether our logits are not those of transformers; CheckpointError where the configuration is refused."""
    (folder / "config.json").write_text(json.dumps(document))
    ours = Llama(load(folder)).logits(tokens().tolist())
    return not torch.allclose(ours, their_logits(family, folder, document), atol=1e-4, rtol=1e-4)


def saved(save: Save, family: str) -> tuple[Path, dict[str, object]]:
    """Return a folder and its config.json, without the layer types that would hide max_window_layers."""
    print(f"seed {SEED}")
    folder, _ = save(f"{family}ForCausalLM")
    document = json.loads((folder / "config.json").read_text())
    document.pop("layer_types", None)
    return folder, document


def fields() -> dict[str, list[object]]:
    """Return every field of the installed transformers with other values; one that is new there must be refused."""
    kinds = (transformers.LlamaConfig, transformers.MistralConfig, transformers.Qwen2Config, transformers.Qwen3Config)
    return {field.name: ["other"] for kind in kinds for field in dataclasses.fields(kind)} | OTHERS


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_every_field_is_honoured_or_refused_by_name(family: str, save: Save) -> None:
    folder, document = saved(save, family)
    sizes = {"hidden_size", "intermediate_size", "vocab_size", "num_hidden_layers", "num_attention_heads", "head_dim"}
    honoured = set()
    for field, values in fields().items():
        for value in values:
            # Of a Qwen2 without a width of heads transformers 5.24 makes no network, the versions before the usual one.
            if (family, field, value) == ("Qwen2", "head_dim", None):
                continue
            try:
                assert not differs(family, folder, document | {field: value}), f"{field} of {value!r} changes the logits unnoticed"
                honoured.add(field)
            except CheckpointError as refusal:
                # A size that is not that of the tensors is refused by the tensor it belongs to.
                named = field in str(refusal) or (
                    field in {*sizes, "num_key_value_heads"} and ("ensor" in str(refusal) or "heads" in str(refusal))
                )
                assert named or field == "architectures" or "RoPE" in str(refusal), f"{field} of {value!r}: {refusal}"
    never = {"architectures", "hidden_size", "intermediate_size", "is_encoder_decoder", "num_attention_heads", "num_hidden_layers"}
    never |= {"vocab_size", "num_key_value_heads"}
    assert set(OTHERS) - never - honoured <= {"head_dim", "max_window_layers"}


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_entries_together(family: str, save: Save) -> None:
    folder, document = saved(save, family)
    for owner, changes, words in TOGETHER:
        if owner != family:
            continue
        if not words:
            assert not differs(family, folder, document | changes), changes
            continue
        with pytest.raises(CheckpointError) as refusal:
            differs(family, folder, document | changes)
        assert words in str(refusal.value), (changes, str(refusal.value))


def test_what_families_leave_out_is_what_transformers_takes(save: Save) -> None:
    for family in ARCHITECTURES.values():
        kind = getattr(transformers, family.architecture.replace("ForCausalLM", "Config"))
        taken = {field.name: field.default for field in dataclasses.fields(kind)}
        assert family.defaults == {key: taken[key] for key in family.defaults}
    folder, document = saved(save, "Mistral")
    left = {key: value for key, value in document.items() if key not in ("sliding_window", "rms_norm_eps", "rope_parameters")}
    assert not differs("Mistral", folder, left)
    assert str(trained_pattern(load(folder).config)) == "lambda:0+4096"
    with pytest.raises(CheckpointError, match=r"^Model heads must be a multiple of its 8 kv_heads, not 6$"):
        ModelConfig.from_huggingface({key: value for key, value in document.items() if key != "num_key_value_heads"})


def test_a_window_that_is_left_out_is_a_window(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    torch.manual_seed(SEED)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}
    config = transformers.MistralConfig(**shape, vocab_size=32, sliding_window=4096, attn_implementation="eager")
    model = transformers.MistralForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    model.save_pretrained(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    assert document.pop("sliding_window") == 4096
    (tmp_path / "config.json").write_text(json.dumps(document))
    text = torch.cat([torch.zeros(64, dtype=torch.int64), torch.randint(1, 32, (4096,))])
    with torch.no_grad():
        theirs = model(text[None]).logits[0, -1]
    found = load(tmp_path)
    torch.testing.assert_close(Llama(found).logits(text.tolist())[-1], theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", ["other head", "same head", "head alone", "no head", "head of another shape"])
def test_a_tied_head_is_the_one_that_transformers_takes(case: str, save: Save) -> None:
    print(f"seed {SEED}")
    folder, _ = save("LlamaForCausalLM", tie_word_embeddings=True)
    file = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    embedding = tensors["model.embed_tokens.weight"]
    assert "lm_head.weight" not in tensors
    if case == "head alone":
        del tensors["model.embed_tokens.weight"]
    if case != "no head":
        tensors["lm_head.weight"] = embedding.flip(0) if case == "other head" else embedding.clone()
    if case == "head of another shape":
        tensors["lm_head.weight"] = embedding[1:].clone()
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})
    if case == "head of another shape":
        with pytest.raises(CheckpointError, match=r"^Tensor lm_head.weight must have shape \(96, 48\), not \(95, 48\)$"):
            load(folder)
        return
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        theirs = model(tokens()[None]).logits[0]
    found = load(folder)
    assert found.config.tied_head is (case != "other head")
    torch.testing.assert_close(Llama(found).logits(tokens().tolist()), theirs, atol=1e-4, rtol=1e-4)


def test_the_single_file_goes_before_shards(save: Save) -> None:
    folder, _ = save("LlamaForCausalLM", shard_size="40KB")
    assert len(load(folder).files) > 3
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    whole = {name: safetensors.torch.load_file(folder / file)[name] * 2 for name, file in index.items()}
    safetensors.torch.save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    found = load(folder)
    assert torch.equal(found.tensor("lm_head.weight"), theirs.lm_head.weight)
    assert [file.name for file in found.files] == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_plain_file_is_refused_at_once(name: str, kind: str, save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    (folder / name).unlink(missing_ok=True)
    if kind == "folder":
        (folder / name).mkdir()
    else:
        os.mkfifo(folder / name)
    with pytest.raises(CheckpointError) as refusal:
        load(folder)
    assert str(refusal.value) == f"File {name} must be a plain file, not a folder, a pipe or a device"


# Entries of generation_config.json that would make another text.
CHANGING = {
    "min_length": 5,
    "min_new_tokens": 5,
    "stop_strings": ["stop"],
    "suppress_tokens": [3],
    "begin_suppress_tokens": [3],
    "bad_words_ids": [[3]],
    "forced_bos_token_id": 3,
    "forced_eos_token_id": 3,
    "sequence_bias": [[[3], 1.0]],
    "exponential_decay_length_penalty": [5, 1.1],
    "no_repeat_ngram_size": 3,
    "guidance_scale": 2.0,
    "eos_token_id": "</s>",
}


def test_entries_of_generation(save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    file = folder / "generation_config.json"
    for key, value in CHANGING.items():
        file.write_text(json.dumps({key: value}))
        with pytest.raises(CheckpointError, match=f"^generation_config.json {key} must be "):
            load(folder)
    file.write_text(json.dumps({"stop_string": "x"}))
    with pytest.raises(
        CheckpointError, match=r"^generation_config.json must hold only .*\(nearest: stop_strings\), not 'stop_string': "
    ):
        load(folder)
    neutral = transformers.GenerationConfig(do_sample=True, temperature=0.6, top_p=0.9, top_k=20, eos_token_id=[2, 3])
    neutral.save_pretrained(folder)
    load(folder)


def test_entries_of_generation_that_are_new_are_refused(save: Save) -> None:
    folder, _ = save("LlamaForCausalLM")
    file = folder / "generation_config.json"
    for key in {*vars(transformers.GenerationConfig()), "any"} - {"eos_token_id", *GENERATION.neutral, *GENERATION.fixed}:
        file.write_text(json.dumps({key: 1}))
        with pytest.raises(CheckpointError, match=f", not '{key}'"):
            load(folder)


def test_an_entry_stands_in_one_table() -> None:
    assert not set(CONFIG.neutral) & set(CONFIG.fixed)
    assert not set(GENERATION.neutral) & set(GENERATION.fixed)
