"""The compressed model: what it must hold, how tokens are looked up, and what its fingerprint is made of."""

import dataclasses
import hashlib
import re
from collections.abc import Callable

import numpy as np
import pytest

from hwsim.arch.isa import CacheFormat
from hwsim.errors import CheckpointError, SpecError
from models.attention import Geometry, LayerAttention
from models.integer.constants import Gain
from models.integer.model import Embedding, IntegerModel
from tests.models.tiny import tiny_model


def test_tokens_are_looked_up_in_groups_with_a_scale_each() -> None:
    codes = np.array([[1, -2, 3, 4, 5, -127], [0, 1, 2, 3, 4, 5], [127, 1, 1, 2, 2, 2]], np.int8)
    table = Embedding(codes=codes, scales=np.array([[0.5, 2.0], [1, 1], [0.25, 2.0**-17]], np.float16))
    # Half a step is rounded up: 1 x 2**-17 is half of the smallest fixed value.
    expected = np.array([[127 << 14, 1 << 14, 1 << 14, 1, 1, 1], [1 << 15, -1 << 16, 3 << 15, 8 << 16, 10 << 16, -254 << 16]])
    found = table.rows([2, 0])
    assert found.dtype == np.int32
    assert np.array_equal(found, expected)
    for token in (-1, 3):
        with pytest.raises(SpecError, match=f"^Token must be between 0 and 2, not {token}$"):
            table.rows([0, token, 2, 99])


def test_dense_attention_is_a_ring_as_long_as_the_longest_text() -> None:
    dense, cut = tiny_model("dense"), tiny_model("lambda:4+12")
    assert (dense.sinks, dense.window) == (0, 256)
    assert (cut.sinks, cut.window) == (4, 12)


class Other:
    """An attention pattern that no integer model computes."""

    def __str__(self) -> str:
        return "echo"

    def attention(self, geometry: Geometry) -> LayerAttention:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda model: {"pattern": Other()}, "Attention of an integer model must be dense or lambda, not echo"),
        (
            lambda model: {"gains": model.gains | {"final_norm": Gain(values=np.ones(63, np.int16), shift=0)}},
            "Gains of final_norm must have 64 values, not (63,)",
        ),
        (
            lambda model: {"gains": {name: gain for name, gain in model.gains.items() if name != "final_norm"}},
            "Integer model must have gains of final_norm, which are missing",
        ),
        (
            lambda model: {"gains": model.gains | {"last_norm": model.gains["final_norm"]}},
            "Integer model must have gains only where its network has them, not of last_norm",
        ),
        (
            lambda model: {"biases": model.biases | {"layers.1.qkv": np.zeros(255, np.int32)}},
            "Bias of layers.1.qkv must have 256 values, not (255,)",
        ),
        (lambda model: {"biases": {}}, "Integer model must have biases of layers.0.qkv, which are missing"),
        (
            lambda model: {"embedding": dataclasses.replace(model.embedding, codes=model.embedding.codes[:, :32])},
            "Embedding must have shape (96, 64), not (96, 32)",
        ),
    ],
)
def test_models_with_something_wrong_are_refused(wrong: Callable[[IntegerModel], dict[str, object]], text: str) -> None:
    model = tiny_model("dense", has_bias=True)
    with pytest.raises((SpecError, CheckpointError), match=f"^{re.escape(text)}$"):
        dataclasses.replace(model, **wrong(model))


def test_biases_are_refused_where_the_network_has_none() -> None:
    with pytest.raises(
        CheckpointError, match=r"^Integer model must have biases only where its network has them, not of layers\.0\.qkv$"
    ):
        dataclasses.replace(tiny_model("dense"), biases={"layers.0.qkv": np.zeros(256, np.int32)})


def test_a_fingerprint_covers_every_number_of_a_model() -> None:
    model = tiny_model("dense", has_bias=True)
    gain, bias, matrix = model.gains["final_norm"], model.biases["layers.1.qkv"], model.matrices["layers.1.o"]
    embedding = model.embedding
    others = [
        {"gains": model.gains | {"final_norm": Gain(values=gain.values ^ 1, shift=gain.shift)}},
        {"gains": model.gains | {"final_norm": Gain(values=gain.values, shift=gain.shift - 1)}},
        {"biases": model.biases | {"layers.1.qkv": bias ^ 1}},
        {"matrices": model.matrices | {"layers.1.o": dataclasses.replace(matrix, exponent=matrix.exponent + 1)}},
        {"matrices": model.matrices | {"layers.1.o": dataclasses.replace(matrix, mantissa=matrix.mantissa ^ 1)}},
        {"embedding": dataclasses.replace(embedding, codes=-embedding.codes)},
        {"embedding": dataclasses.replace(embedding, scales=embedding.scales * np.float16(2))},
    ]
    assert len({each.fingerprint for each in (model, *(dataclasses.replace(model, **other) for other in others))}) == 8


def test_a_fingerprint_names_other_cache_formats_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models with KV4 keep the fingerprints of the time when there was no other."""
    made = hashlib.sha256

    def said(model: IntegerModel) -> bytes:
        parts: list[bytes] = []

        class Spied:
            def __init__(self, first: bytes = b"") -> None:
                self._real = made(first)

            def update(self, more: bytes) -> None:
                parts.append(bytes(more))
                self._real.update(more)

            def hexdigest(self) -> str:
                return self._real.hexdigest()

        with monkeypatch.context() as patch:
            patch.setattr("models.integer.model.hashlib.sha256", Spied)
            assert len(model.fingerprint) == 64
        return b"".join(parts)

    model = tiny_model("lambda:4+12")
    narrow, wide = said(model), said(dataclasses.replace(model, cache=CacheFormat.KV8))
    assert b"KV4" not in narrow
    assert b"KV8\n" in wide
