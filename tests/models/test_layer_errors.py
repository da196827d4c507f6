"""Checks that the comparison of layers finds the layer that was spoilt, and nothing where nothing is."""

import dataclasses

import numpy as np
import pytest
import torch

from hwsim.errors import SpecError
from models.attention import parse
from models.checkpoint.base import Weights
from models.checkpoint.layout import tensor_shapes
from models.compress import Recipe
from models.compressed import create
from models.evaluation.layers import layer_errors
from models.integer import IntegerReference
from models.reference.llama import Llama
from tests.models.tiny import tiny_checkpoint, tiny_tokens
from tests.random_model import MemoryStore

RECIPE = Recipe.from_document({"steps": [{"method": "rtn", "format": "w8", "at": "*"}], "attention": "lambda:4+12"}, name="test")
TOKENS = tiny_tokens(70)


def spoilt(checkpoint, name: str):
    """Return the checkpoint with one matrix turned upside down."""
    tensors = {key: checkpoint.tensor(key) for key in tensor_shapes(checkpoint.config)}
    tensors[name] = tensors[name].flip(0)
    return dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(tensors)))


def errors(checkpoint, integers, tokens=TOKENS):
    return layer_errors(Llama(checkpoint, pattern=parse("lambda:4+12")), IntegerReference(integers), tokens)


def test_rounding_is_small_and_every_half_is_named(tmp_path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    found = errors(checkpoint, create(checkpoint, RECIPE).model)
    assert [entry.name for entry in found] == [
        "layers.0.attention",
        "layers.0.feed_forward",
        "layers.1.attention",
        "layers.1.feed_forward",
        "head",
    ]
    assert all(0 < entry.own < 0.25 and 0 < entry.accumulated < 0.3 and 0 < entry.stream < 0.2 for entry in found)
    assert found[0].own == pytest.approx(found[0].accumulated, rel=0.05)


@pytest.mark.parametrize(
    ("matrix", "half"),
    [
        ("model.layers.0.self_attn.o_proj.weight", "layers.0.attention"),
        ("model.layers.1.mlp.down_proj.weight", "layers.1.feed_forward"),
    ],
)
def test_a_planted_layer_is_the_worst(tmp_path, matrix: str, half: str) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    found = errors(checkpoint, create(spoilt(checkpoint, matrix), RECIPE).model)
    worst = max(found, key=lambda entry: entry.own)
    assert worst.name == half
    assert worst.own > 1
    assert all(entry.own < 0.25 for entry in found if entry.name != half)
    # What comes after it works on a wrong stream.
    assert found[-1].accumulated > 0.4


def test_errors_are_relative_lengths(tmp_path) -> None:
    """A feed-forward whose output is halved is off by one half."""
    checkpoint = tiny_checkpoint(tmp_path)
    tensors = {key: checkpoint.tensor(key) for key in tensor_shapes(checkpoint.config)}
    tensors["model.layers.0.mlp.down_proj.weight"] = tensors["model.layers.0.mlp.down_proj.weight"] / 2
    halved = dataclasses.replace(checkpoint, weights=Weights(checkpoint.config, MemoryStore(tensors)))
    found = errors(checkpoint, create(halved, RECIPE).model)
    assert found[1].own == pytest.approx(0.5, abs=0.02)


def test_another_residual_stream_is_refused(tmp_path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    made = create(checkpoint, RECIPE).model
    turned = np.ascontiguousarray(made.embedding.codes[:, ::-1])
    other = dataclasses.replace(made, embedding=dataclasses.replace(made.embedding, codes=turned))
    sentence = "Embeddings must be those of the source for a comparison of layers, but they differ by 1[0-9]{2}%"
    with pytest.raises(SpecError, match=f"^{sentence}$"):
        errors(checkpoint, other)


def test_progress_ends_at_the_whole(tmp_path) -> None:
    checkpoint = tiny_checkpoint(tmp_path)
    seen: list[float] = []
    layer_errors(
        Llama(checkpoint, pattern=parse("lambda:4+12")), IntegerReference(create(checkpoint, RECIPE).model), TOKENS, seen.append
    )
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])
    assert torch.get_num_threads() >= 1
