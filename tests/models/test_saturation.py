"""What of the residual stream saturates is counted the same token by token and together, and said in one sentence."""

import dataclasses

import numpy as np
import pytest

from models.integer import IntegerModel, IntegerReference
from models.integer.saturation import Saturation
from tests.models.tiny import tiny_model, tiny_tokens


def loud() -> IntegerModel:
    """Return a model whose feed-forward of layer 1 adds more than the stream holds."""
    model = tiny_model("lambda:4+12")
    name = "layers.1.down"
    matrix = model.matrices[name]
    louder = dataclasses.replace(matrix, exponent=matrix.exponent + 18)
    return dataclasses.replace(model, matrices=model.matrices | {name: louder})


def test_a_quiet_model_saturates_nowhere() -> None:
    reference = IntegerReference(tiny_model("lambda:4+12"))
    reference.prefill(reference.open(), tiny_tokens(12))
    assert reference.saturation.shares == {}
    assert reference.saturation.sentence is None


def test_tokens_together_count_as_one_by_one() -> None:
    model, tokens = loud(), tiny_tokens(12)
    together, alone = IntegerReference(model), IntegerReference(model)
    together.prefill(together.open(), tokens)
    state = alone.open()
    for token in tokens:
        alone.step(state, token)
    assert list(together.saturation.shares) == ["layers.1.feed_forward"]
    assert together.saturation.shares == alone.saturation.shares


def test_the_sentence_names_the_first_half_and_its_share() -> None:
    counted, top = Saturation(), (1 << 31) - 1
    counted.note("layers.0.attention", np.array([top - 1, 1 - top, 0, 0]))
    counted.note("layers.0.feed_forward", np.array([top, 0, 0, 0]))
    counted.note("layers.0.feed_forward", np.array([-top - 1, 0, 0, 0]))
    counted.note("layers.1.attention", np.array([top, top, 0, 0]))
    assert counted.shares == {"layers.0.feed_forward": pytest.approx(0.25), "layers.1.attention": pytest.approx(0.5)}
    assert counted.sentence == (
        "25.00% of the residual stream saturates after layers.0.feed_forward and later halves (1), at 32,768, the end of the"
        " engine's fixed point: results there are not the float model's"
    )
