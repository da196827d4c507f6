"""Small models with random weights, compressed to any format, for tests of the whole path."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch

from hwsim.arch.isa import CacheFormat, Format
from models.attention import parse
from models.checkpoint import Checkpoint
from models.checkpoint.base import TensorStore, Weights
from models.checkpoint.layout import tensor_shapes
from models.compress import Recipe, compress
from models.config import ModelConfig
from models.integer import IntegerModel

__all__ = ["MemoryStore", "random_model", "tiny_config"]


class MemoryStore(TensorStore):
    """Tensors held in memory."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> torch.Tensor:
        return self._tensors[name].to(torch.float32)


def tiny_config(**changes: object) -> ModelConfig:
    """Return a geometry that fits the smallest engine: two layers, two query heads to a KV head."""
    values: dict[str, object] = {
        "name": "random",
        "hidden": 64,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 32,
        "ffn": 128,
        "vocab": 96,
        "norm_eps": 1e-5,
        "rope_base": 1e4,
        "tied_head": True,
        "max_positions": 256,
    }
    return ModelConfig(**(values | changes))


def random_model(
    seed: int,
    *,
    format: Format = Format.W4,
    head: Format = Format.W8,
    attention: str = "lambda:4+12",
    cache: CacheFormat = CacheFormat.KV4,
    **changes: object,
) -> IntegerModel:
    """Return a compressed random model; `changes` replace fields of `tiny_config`."""
    config = tiny_config(**changes)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        if len(shape) == 1:
            tensors[name] = 1.0 + 0.3 * torch.randn(shape, generator=generator)
        else:
            tensors[name] = torch.randn(shape, generator=generator) / np.sqrt(shape[1])
    weights = Weights(config, MemoryStore(tensors))
    checkpoint = Checkpoint(config=config, weights=weights, tokenizer=None, source="random", files=())
    recipe = Recipe.uniform(name="random", method="rtn", format=format, head=head, pattern=parse(attention))
    return compress(checkpoint, dataclasses.replace(recipe, cache=cache))
