"""The tiny random models in integers and floats on which compression and integer arithmetic are tested."""

import dataclasses

import numpy as np
import torch

from hwsim.arch.isa import Format
from hwsim.arch.numerics import to_fixed
from models.attention import parse
from models.checkpoint import Checkpoint
from models.checkpoint.base import Weights
from models.checkpoint.layout import tensor_shapes
from models.compress import rtn
from models.config import ModelConfig
from models.integer import Embedding, IntegerModel, IntegerReference
from models.integer.constants import gain
from models.matrices import HEAD, matrix_shapes, norm_widths
from tests.random_model import MemoryStore

SEED = 20260102


def tiny_config(*, has_bias: bool = False, has_head_norms: bool = False, is_tied: bool = False) -> ModelConfig:
    architecture = "Qwen2ForCausalLM" if has_bias else "LlamaForCausalLM"
    return ModelConfig(
        name="tiny",
        architecture="Qwen3ForCausalLM" if has_head_norms else architecture,
        hidden=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=32,
        ffn=128,
        vocab=96,
        norm_eps=1e-5,
        rope_base=1e4,
        tied_head=is_tied,
        qkv_bias=has_bias,
        max_positions=256,
    )


def tiny_model(
    pattern: str, *, format: Format = Format.W4, has_bias: bool = False, has_head_norms: bool = False, seed: int = SEED
) -> IntegerModel:
    """Return a random integer model with an 8-bit head."""
    print(f"seed {seed}")
    config = tiny_config(has_bias=has_bias, has_head_norms=has_head_norms)
    random = torch.Generator().manual_seed(seed)
    shapes = matrix_shapes(config)
    matrices = {
        name: rtn.quantize(torch.randn(shape, generator=random) * 0.15, Format.W8 if name == HEAD else format)
        for name, shape in shapes.items()
    }
    gains = {
        name: gain(1 + 0.3 * torch.randn(width, generator=random).numpy(), name) for name, width in norm_widths(config).items()
    }
    biased = [name for name in shapes if name.endswith(".qkv")] if has_bias else []
    biases = {name: to_fixed(torch.randn(shapes[name][0], generator=random).numpy()).astype(np.int32) for name in biased}
    codes = torch.randint(-127, 128, (config.vocab, config.hidden), generator=random).numpy().astype(np.int8)
    scales = (torch.rand((config.vocab, 2), generator=random) * 0.02).numpy().astype(np.float16)
    return IntegerModel(
        config=config,
        pattern=parse(pattern),
        matrices=matrices,
        gains=gains,
        biases=biases,
        embedding=Embedding(codes=codes, scales=scales),
    )


def tiny_checkpoint(
    tmp_path, *, has_bias: bool = False, has_head_norms: bool = False, is_tied: bool = False, vocab: int = 96, tokenizer=None
) -> Checkpoint:
    """Return a random float model held in memory."""
    print(f"seed {SEED}")
    config = dataclasses.replace(tiny_config(has_bias=has_bias, has_head_norms=has_head_norms, is_tied=is_tied), vocab=vocab)
    random = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        noise = torch.randn(shape, generator=random)
        tensors[name] = 1 + 0.2 * noise if "norm" in name else noise * 0.12
    file = tmp_path / "tiny.txt"
    file.write_text("tiny")
    return Checkpoint(
        config=config, weights=Weights(config, MemoryStore(tensors)), tokenizer=tokenizer, source="tiny", files=(file,)
    )


def tiny_tokens(count: int, seed: int = SEED) -> list[int]:
    return np.random.default_rng(seed).integers(0, 96, count).tolist()


def integer_logits(model: IntegerModel, tokens: list[int]) -> torch.Tensor:
    """Return the integer reference's logits after each token, [tokens, vocab]."""
    reference = IntegerReference(model)
    return reference.continued(reference.open(), tokens)
