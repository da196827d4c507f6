"""Metadata of GGUF files: keys are honoured as llama.cpp does or refused by name, split files load, end tokens end a text."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy
import pytest
import torch
import transformers

from hwsim.errors import CheckpointError
from models.checkpoint import load
from models.reference.llama import Llama
from tests.models.gguf_file import write_gguf

Save = Callable[..., tuple[Path, torch.nn.Module]]
Write = Callable[..., Path]

SEED = 20261130
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
YARN_KEYS = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32}
LINEAR = {"rope_type": "linear", "factor": 4.0}

# Metadata beside the usual, and the rotary entries under which transformers computes what llama.cpp does with them.
HONOURED: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "old linear": ({"rope.scale_linear": 4.0}, LINEAR),
    "old linear beside a factor": ({"rope.scale_linear": 3.0, "rope.scaling.factor": 4.0}, LINEAR),
    "factor alone": ({"rope.scaling.factor": 4.0}, LINEAR),
    "linear": ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, LINEAR),
    "none": ({"rope.scaling.type": "none", "rope.scaling.factor": 4.0, "rope.scale_linear": 2.0}, {"rope_type": "default"}),
    "factor of zero": ({"rope.scaling.factor": 0.0}, {"rope_type": "default"}),
    "yarn": (YARN_KEYS, YARN),
    "yarn from the context": (
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0},
        YARN | {"original_max_position_embeddings": 128},
    ),
    "yarn with a factor": (YARN_KEYS | {"rope.scaling.attn_factor": 0.75}, YARN | {"attention_factor": 0.75 * 1.1386294361119891}),
    "yarn with turns": (
        YARN_KEYS | {"rope.scaling.yarn_beta_fast": 4.0, "rope.scaling.yarn_beta_slow": 0.5},
        YARN | {"beta_fast": 4.0, "beta_slow": 0.5},
    ),
    "yarn as new files say it": (
        YARN_KEYS | {"rope.scaling.yarn_ext_factor": 1.0, "rope.scaling.yarn_attn_factor": 1.0, "rope.scaling.finetuned": True},
        YARN,
    ),
    "what says nothing": (
        {
            "attention.key_length": 8,
            "attention.value_length": 8,
            "rope.dimension_count": 8,
            "vocab_size": 96,
            "expert_count": 0,
            "expert_used_count": 0,
            "attention.causal": True,
            "attention.sliding_window": 0,
            "logit_scale": 1.0,
            "tensor_data_layout": "Meta AI original pth",
            "general.type": "model",
            "general.name": "any",
        },
        {"rope_type": "default"},
    ),
    "sizes layer by layer": (
        {"attention.head_count": [6, 6], "attention.head_count_kv": [2, 2], "feed_forward_length": [80, 80]},
        {"rope_type": "default"},
    ),
}

REFUSED: list[tuple[dict[str, object], str]] = [
    ({"expert_count": 8}, "GGUF llama.expert_count must be 0, not 8: a feed-forward layer is one network, not several experts"),
    ({"expert_used_count": 2}, "GGUF llama.expert_used_count must be 0, not 2: "),
    ({"logit_scale": 0.5}, "GGUF llama.logit_scale must be 0 or 1, not 0.5: "),
    ({"residual_scale": 0.5}, "GGUF llama.residual_scale must be 0 or 1, not 0.5: "),
    ({"embedding_scale": 12.0}, "GGUF llama.embedding_scale must be 0 or 1, not 12.0: "),
    ({"attention.scale": 0.5}, "GGUF llama.attention.scale must be 0, not 0.5: "),
    ({"attention.sliding_window": 32}, "GGUF llama.attention.sliding_window must be 0, not 32: "),
    ({"attention.causal": False}, "GGUF llama.attention.causal must be true, not false: "),
    ({"attention.clamp_kqv": 8.0}, "GGUF llama.attention.clamp_kqv must be 0, not 8.0: "),
    ({"final_logit_softcapping": 30.0}, "GGUF llama.final_logit_softcapping must be 0, not 30.0: "),
    ({"attention.value_length": 16}, "GGUF llama.attention.value_length must be the head width 8, not 16"),
    ({"attention.key_length": 16}, "GGUF llama.attention.value_length must be the head width 16, not 8"),
    ({"rope.dimension_count": 4}, "GGUF llama.rope.dimension_count must be the head width 8, not 4"),
    (
        {"attention.head_count_kv": [2, 1]},
        "GGUF llama.attention.head_count_kv must be one number or 2 equal ones, for all layers are alike, not [2, 1]",
    ),
    ({"attention.head_count": [6]}, "GGUF llama.attention.head_count must be one number or 2 equal ones, "),
    ({"feed_forward_length": [80, 64]}, "GGUF llama.feed_forward_length must be one number or 2 equal ones, "),
    ({"rope.scaling.type": "longrope"}, "GGUF llama.rope.scaling.type must be none, linear or yarn, not 'longrope'"),
    ({"rope.scaling.factor": -4.0}, "GGUF llama.rope.scaling.factor must be a positive number, not -4"),
    ({"rope.scaling.attn_factor": 0.5}, "GGUF llama.rope.scaling.attn_factor must be 1 with linear scaling, not 0.5"),
    (YARN_KEYS | {"rope.scaling.yarn_log_multiplier": 0.1}, "GGUF llama.rope.scaling.yarn_log_multiplier must be 0, not 0.1"),
    (YARN_KEYS | {"rope.scaling.yarn_ext_factor": 0.0}, "GGUF llama.rope.scaling.yarn_ext_factor must be 1 or -1, not 0.0: "),
    ({"rope.scaling.yarn_ext_factor": 1.0}, "GGUF llama.rope.scaling.yarn_ext_factor must be 0 or -1, not 1.0: "),
    (
        YARN_KEYS | {"rope.scaling.original_context_length": 3, "rope.freq_base": 10.0},
        "GGUF llama.rope.scaling.original_context_length must be long enough for frequencies to turn 1 times, not 3",
    ),
    ({"rope.freq_base": 1.0, **YARN_KEYS}, "Model rope_base (rope_theta of config.json) must be above 1, not 1.0"),
    ({"attention.layer_norm_rms_epsilon": 0.0}, "GGUF llama.attention.layer_norm_rms_epsilon must be a positive number, not 0.0"),
    (
        {"attention.layer_norm_rms_epsilon": 1e30},
        "GGUF llama.attention.layer_norm_rms_epsilon must be a number of 1e-12 to 0.1, not",
    ),
    (
        {"rope.freq_bases": 1.0},
        "GGUF must hold only entries whose meaning is known (nearest: llama.rope.freq_base), not 'llama.rope.freq_b",
    ),
    ({"attention.output_gate": True}, "GGUF must hold only entries whose meaning is known"),
    (
        {"general.type": "adapter"},
        'GGUF general.type must be "model", not "adapter": a GGUF file of another type is no whole model',
    ),
    ({"tokenizer.ggml.eot_token_id": "x"}, "GGUF tokenizer.ggml.eot_token_id must be a token, not 'x'"),
]


def tokens() -> torch.Tensor:
    return torch.randint(0, 96, (40,), generator=torch.Generator().manual_seed(SEED))


@pytest.fixture
def write(save: Save) -> Write:
    """Return a function that writes a random model as GGUF with metadata beside the usual, and returns its path."""

    def write_file(kind: str = "llama", **settings: object) -> Path:
        print(f"seed {SEED}")
        folder, _ = save({"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[kind])
        write_gguf(folder / "small.gguf", folder, kind, **settings)
        return folder / "small.gguf"

    return write_file


@pytest.mark.parametrize("case", HONOURED)
def test_keys_are_honoured(case: str, write: Write) -> None:
    entries, rope = HONOURED[case]
    path = write(entries=entries)
    config = transformers.AutoConfig.from_pretrained(path.parent, rope_parameters=rope | {"rope_theta": 1e4})
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, config=config, attn_implementation="eager").eval()
    with torch.no_grad():
        theirs = model(tokens()[None]).logits[0]
    torch.testing.assert_close(Llama(load(path)).logits(tokens().tolist()), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("entries", "sentence"), REFUSED, ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_keys_are_refused_by_name(entries: dict[str, object], sentence: str, write: Write) -> None:
    with pytest.raises(CheckpointError) as refusal:
        load(write(entries=entries))
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_split_files_load_as_one(kind: str, write: Write) -> None:
    whole = write(kind)
    write_gguf(whole.with_name("parts.gguf"), whole.parent, kind, split_tensors=6)
    parts = sorted(whole.parent.glob("parts-*.gguf"))
    assert len(parts) > 2
    first = load(parts[0])
    assert first.config.name == "parts"
    assert first.files == tuple(parts)
    for name, tensor in load(whole).weights.items():
        assert torch.equal(first.tensor(name), tensor)
    with pytest.raises(CheckpointError) as refusal:
        load(parts[1])
    assert str(refusal.value) == (
        f"File {parts[1].name} must be the first of the {len(parts)} files of its checkpoint, "
        f"NAME-00001-of-{len(parts):05d}.gguf, not number 2"
    )
    kept = parts[1].read_bytes()
    parts[1].write_bytes(parts[2].read_bytes())
    with pytest.raises(CheckpointError, match=rf"^File {parts[1].name} must be part 2 of {len(parts)}, not 3 of {len(parts)}$"):
        load(parts[0])
    parts[1].write_bytes(kept)
    parts[-1].unlink()
    with pytest.raises(CheckpointError, match=rf"must hold {parts[-1].name}, a part of {parts[0].name}$"):
        load(parts[0])


def test_tensors_of_types_that_cannot_be_read_are_one_verdict(write: Write) -> None:
    path = write(type=gguf.GGMLQuantizationType.F32, only="mlp")
    content = bytearray(path.read_bytes())
    for name, number in {"blk.0.ffn_up.weight": 24, "blk.1.ffn_up.weight": 24, "blk.1.ffn_down.weight": 99}.items():
        at = content.index(name.encode()) + len(name) + 4 + 2 * 8
        assert content[at : at + 4] == bytes(4)
        content[at : at + 4] = number.to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError) as refusal:
        load(path)
    assert str(refusal.value).startswith("File small.gguf must hold tensors of types that can be read (BF16, F16, F32, ")
    assert str(refusal.value).endswith(
        " alone, not 2 of type I8 ('blk.0.ffn_up.weight' and others) and 1 of type 99 ('blk.1.ffn_down.weight')"
    )


def test_every_end_token_ends_a_text(write: Write) -> None:
    tokenizer = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["a", "aa", "<end>", "<turn>", "<message>", "<pad>"],
        "tokenizer.ggml.merges": ["a a"],
        "tokenizer.ggml.token_type": [1, 1, 3, 3, 3, 3],
    }
    ends = {"tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.eot_token_id": 3, "tokenizer.ggml.eom_token_id": 4}
    found = load(write(entries=tokenizer | ends | {"tokenizer.ggml.padding_token_id": 5})).tokenizer
    assert found is not None
    assert found.eos_ids == (2, 3, 4)
    assert found.special_tokens["eos_token"] == "<end>"


def test_numbers_are_those_of_the_folder(write: Write) -> None:
    path = write()
    document = json.loads((path.parent / "config.json").read_text())
    assert load(path).config.norm_eps == document["rms_norm_eps"]
    assert numpy.isclose(load(path).config.rope_base, 1e4)
