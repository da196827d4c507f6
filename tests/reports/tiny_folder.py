"""A tiny random checkpoint on disk, with a tokenizer and a chat template, and the recipe that suits it."""

import json
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers

from models.checkpoint.layout import tensor_shapes
from models.config import ModelConfig
from models.families import ARCHITECTURES

__all__ = ["RECIPE", "TEXT", "write_checkpoint", "write_recipe"]

SEED = 20260404
TEXT = "The engine moves one beat of every port in each cycle, and waits for nothing that it was not told to wait for. " * 8
RECIPE = "steps:\n- {method: rtn, format: w4}\n- {method: rtn, format: w8, at: head}\nattention: lambda:4+12\n"
TEMPLATE = "{% for message in messages %}<|ask|>{{ message['content'] }}{% endfor %}<|answer|>"
SPECIALS = ["<|ask|>", "<|answer|>", "<|end|>", "<|none|>"]
FIELDS = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 260,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}


def write_checkpoint(folder: Path, **changes: object) -> Path:
    """Write a Hugging Face folder with these changes to its config.json, of any family that is run, and return it."""
    folder.mkdir(parents=True)
    document = FIELDS | changes
    (folder / "config.json").write_text(json.dumps(document))
    print(f"seed {SEED}")
    random = torch.Generator().manual_seed(SEED)
    # One that is not run has the tensors of one that is.
    is_run = document["architectures"][0] in ARCHITECTURES
    config = ModelConfig.from_huggingface(document | ({} if is_run else {"architectures": FIELDS["architectures"]}), name="tiny")
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        noise = torch.randn(shape, generator=random)
        tensors[name] = 1 + 0.2 * noise if "norm" in name else noise * 0.12
    save_file(tensors, folder / "model.safetensors")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({symbol: index for index, symbol in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(SPECIALS)
    (folder / "tokenizer.json").write_text(inner.to_str())
    settings = {"chat_template": TEMPLATE, "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def write_recipe(path: Path) -> Path:
    """Write the recipe to a YAML file and return it."""
    path.write_text(RECIPE)
    return path
