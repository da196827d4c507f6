"""Recipes that take over what was trained: to the same bits, with its origin, or refused."""

import time
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.formats import unpacked_of
from hwsim.errors import SpecError
from hwsim.plain import from_yaml
from models import compressed
from models.checkpoint import Checkpoint, load
from models.compress import Recipe
from models.distill import shipped
from models.distill.result import read_result
from models.recipes import recipe
from tests.models.distill.small import SETTINGS, distilled, integer_model, small_checkpoint, small_prepared, small_training
from tests.reports.tiny_folder import write_checkpoint


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Checkpoint, Path]:
    """A teacher and the folder of what was trained."""
    checkpoint = small_checkpoint(tmp_path)
    training = small_training(small_prepared(checkpoint))
    training.open(tmp_path / "state.npz")
    training.run(tmp_path / "state.npz", deadline=time.monotonic() + 1e6)
    training.finish(tmp_path / "result", is_measured=False)
    return checkpoint, tmp_path / "result"


def test_a_recipe_takes_a_training_over(trained: tuple[Checkpoint, Path], tmp_path: Path) -> None:
    checkpoint, folder = trained
    result = read_result(folder)
    made = compressed.make(checkpoint, distilled(SETTINGS, str(folder)), tmp_path / "model")
    assert made.model.fingerprint == integer_model(result, checkpoint).fingerprint
    for name, stored in result.matrices.items():
        np.testing.assert_array_equal(unpacked_of(made.model.matrices[name]).dequantize(), stored.dequantized())
    training = made.provenance.training
    assert training is not None
    assert training["digest"] == result.digest
    assert training["steps"] == SETTINGS.steps
    assert training["settings"] == SETTINGS.to_document()
    assert "log" not in training
    assert Recipe.from_document(made.recipe.to_document(), name="distilled") == made.recipe


STEPS = {
    "another format": (
        "[{method: distill, result: RESULT, format: w2}]",
        "Format of method distill must be w2s, as trained, not w2",
    ),
    "half the layers": (
        "[{method: rtn, format: w4}, {method: distill, result: RESULT, at: layers.0}]",
        "Method distill must be at all of layers.* with one result, and no other method may be at them",
    ),
    "a rewritten matrix": (
        "[{method: distill, result: RESULT}, {method: balance_keys}]",
        "Matrix layers.0.qkv, which has method distill, must have no other, not balance_keys",
    ),
    "a pruned matrix": (
        "[{method: distill, result: RESULT}, {method: magnitude}]",
        "Matrix layers.0.qkv, which has method distill, must have no other, not magnitude",
    ),
    "no result": ("[distill]", "Recipe steps[0].distill must have the field 'result'"),
    "an unknown result": (
        "[{method: distill, result: smollm2-135m-w2}]",
        "Result of a training must be a folder or one of smollm2-135m-w2s (nearest: smollm2-135m-w2s), not 'smollm2-135m-w2'",
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_refusals(trained: tuple[Checkpoint, Path], tmp_path: Path, case: str) -> None:
    checkpoint, folder = trained
    steps, sentence = STEPS[case]
    steps = steps.replace("RESULT", str(folder))[:-1] + ", {method: rtn, format: w8, at: head}]"
    text = f"attention: lambda:4+12\ncalibration: {{sequences: 1, length: 24}}\nsteps: {steps}"
    with pytest.raises(SpecError) as refusal:
        compressed.make(checkpoint, Recipe.from_document(from_yaml(text), name="mine"), tmp_path / "model")
    assert str(refusal.value) == sentence
    assert not (tmp_path / "model").exists()


def test_another_teacher_is_refused(trained: tuple[Checkpoint, Path], tmp_path: Path) -> None:
    _, folder = trained
    other = load(write_checkpoint(tmp_path / "hf"))
    with pytest.raises(SpecError, match="Checkpoint must be the teacher with digest .*, not one with "):
        compressed.create(other, distilled(SETTINGS, str(folder)))


@pytest.mark.parametrize("name", shipped.NAMES)
def test_what_ships_is_whole(name: str) -> None:
    result = read_result(shipped.locate(name))
    assert result.report["steps"] <= result.settings.steps
    for matrix in result.matrices.values():
        assert matrix.kept is not None
        assert bool((matrix.kept.reshape(len(matrix.kept), -1, 4).sum(-1) == 2).all())
    assert recipe("smollm2-135m-w2sa8kv4").steps[0].to_document()["result"] == name
