"""Texts fed together: in parts of any size, at the ends of what fixed values hold, and with no more memory than one by one."""

import dataclasses

import numpy as np
import pytest

from hwsim.arch.isa import Format
from models.integer import IntegerModel, IntegerReference
from tests.models.tiny import tiny_model, tiny_tokens

TOP = (1 << 31) - 1


def steps(model: IntegerModel, tokens: list[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the logits of tokens fed one by one, and what was recorded last."""
    reference, seen = IntegerReference(model), {}
    state = reference.open()
    return np.stack([reference.step(state, token, lambda name, array: seen.update({name: array})) for token in tokens]), seen


@pytest.mark.parametrize(("chunk", "block"), [(7, 50), (1, 96), (40, 1000)])
def test_texts_are_fed_in_chunks_and_matrices_in_blocks(chunk: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and blocks of sizes that no length is a multiple of, of one token, and larger than all."""
    model, tokens = tiny_model("lambda:3+10", has_bias=True), tiny_tokens(30)
    whole = IntegerReference(model).window_logits(tokens).numpy()
    monkeypatch.setattr("models.integer.prefill._CHUNK", chunk)
    monkeypatch.setattr("models.integer.prefill._BLOCK", block)
    monkeypatch.setattr("models.integer.prefill._FEWEST_TOKENS", 5)
    reference = IntegerReference(model)
    assert np.array_equal(reference.window_logits(tokens).numpy(), whole)
    state = reference.open()
    for first in range(0, 30, 10):
        assert np.array_equal(reference.prefill(state, tokens[first : first + 10]), whole[first + 9])


def test_a_text_may_be_one_token() -> None:
    model = tiny_model("dense")
    assert np.array_equal(IntegerReference(model).window_logits([5]).numpy(), steps(model, [5])[0])


def test_sums_with_a_bias_saturate() -> None:
    model, tokens = tiny_model("lambda:3+10", format=Format.W8, has_bias=True), tiny_tokens(8)
    ends = {name: np.resize([TOP, 5, -TOP - 1], len(bias)).astype(np.int32) for name, bias in model.biases.items()}
    model = dataclasses.replace(model, biases=ends)
    alone, seen = steps(model, tokens)
    for name in ends:
        assert {int(seen[name].max()), int(seen[name].min())} == {TOP, -TOP - 1}
    assert np.array_equal(IntegerReference(model).window_logits(tokens).numpy(), alone)


def test_sums_of_the_residual_stream_saturate() -> None:
    model, tokens = tiny_model("lambda:3+10"), tiny_tokens(8)
    louder = {
        name: dataclasses.replace(model.matrices[name], exponent=model.matrices[name].exponent + 17)
        for name in ("layers.0.o", "layers.0.down")
    }
    model = dataclasses.replace(model, matrices=model.matrices | louder)
    alone, seen = steps(model, tokens)
    for name in louder:
        assert {int(seen[name].max()), int(seen[name].min())} == {TOP, -TOP - 1}
    assert np.array_equal(IntegerReference(model).window_logits(tokens).numpy(), alone)


def test_logits_as_floats_are_the_fixed_ones() -> None:
    reference, tokens = IntegerReference(tiny_model("dense")), tiny_tokens(9)
    fixed = reference.window_logits(tokens).numpy()
    assert np.array_equal(reference.continued(reference.open(), tokens).numpy(), (fixed / 65536).astype(np.float32))
    state = reference.open()
    reference.prefill(state, tokens[:4])
    assert np.array_equal(reference.continued(state, tokens[4:], 2).numpy(), (fixed[-2:] / 65536).astype(np.float32))


def test_a_text_has_room_for_its_tokens_and_no_more() -> None:
    reference, tokens = IntegerReference(tiny_model("dense")), tiny_tokens(65)
    state, other = reference.open(), reference.open()
    reference.prefill(state, tokens[:63])
    reference.step(state, tokens[63])
    reference.prefill(other, tokens[:64])
    assert (state.length, other.length) == (64, 64)
    assert state.keys[0].codes.shape[1] == other.values[1].codes.shape[1] == 64
    reference.step(state, tokens[64])
    assert state.keys[0].codes.shape[1] == 128
