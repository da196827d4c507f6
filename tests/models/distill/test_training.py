"""The course of a training: it learns, stops and goes on as if it had not, and refuses what does not belong together."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsim.errors import SpecError
from models.distill.state import load_state, stated_settings
from models.distill.training import Training
from tests.models.distill.small import SETTINGS, small_checkpoint, small_prepared, small_training

LATE = time.monotonic() + 1e6


@pytest.fixture
def prepared(tmp_path: Path):
    return small_prepared(small_checkpoint(tmp_path))


def weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in training.student.state_dict().items()}


@pytest.mark.parametrize("format", ["w2s", "w2"])
def test_it_learns(prepared, tmp_path: Path, format: str) -> None:
    changes = {"steps": 120, "block_share": 0.1, "mask_share": 0.1, "length": 16, "batch": 16, "truth_weight": 0.0}
    settings = dataclasses.replace(SETTINGS, format=format, **changes)
    training = small_training(prepared, settings)
    training.open(tmp_path / "state.npz")
    assert training.run(tmp_path / "state.npz", deadline=LATE)
    together = [entry["divergence"] for entry in training.course.log if entry["divergence"] > 0]
    assert together[-1] < 0.75 * together[0]


def test_a_resumed_run_is_the_uninterrupted_one(prepared, tmp_path: Path) -> None:
    whole = small_training(prepared)
    whole.open(tmp_path / "whole.npz")
    assert whole.run(tmp_path / "whole.npz", deadline=LATE)
    # Stopped among the blocks, in the free mask, and after it; each time another process goes on.
    is_done = False
    for steps in (2, 3, 4, 20):
        part = small_training(prepared)
        part.open(tmp_path / "part.npz")
        is_done = part.run(tmp_path / "part.npz", deadline=LATE, steps=steps)
    assert is_done
    found, wanted = weights(part), weights(whole)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    other = small_training(prepared, dataclasses.replace(SETTINGS, seed=2))
    other.open(tmp_path / "other.npz")
    other.run(tmp_path / "other.npz", deadline=LATE)
    assert not torch.equal(weights(other)["blocks.0.o.latent"], wanted["blocks.0.o.latent"])


def test_a_passed_deadline_leaves_a_state(prepared, tmp_path: Path) -> None:
    training = small_training(prepared)
    training.open(tmp_path / "state.npz")
    assert not training.run(tmp_path / "state.npz", deadline=time.monotonic() - 1)
    assert training.course.step == 1
    again = small_training(prepared)
    again.open(tmp_path / "state.npz")
    assert again.course.step == 1
    assert stated_settings(tmp_path / "state.npz") == SETTINGS


def test_masks_change_until_they_are_frozen(prepared, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, weight_rate=0.05, warm_share=0.01)
    training = small_training(prepared, settings)
    path = tmp_path / "state.npz"
    training.open(path)
    kept = [weights(training)["blocks.0.qkv.kept"]]
    for steps in (6, 6):
        training.run(path, deadline=LATE, steps=steps)
        kept.append(weights(training)["blocks.0.qkv.kept"])
    assert bool((kept[0] != kept[1]).any())
    assert torch.equal(kept[1], kept[2])
    assert all(bool((mask.view(-1, 4).sum(-1) == 2).all()) for mask in kept)


def test_fitting_leaves_no_trace_but_the_steps(prepared, tmp_path: Path) -> None:
    fitted = small_training(prepared)
    fitted.fit(0.01)
    steps = fitted.report().settings.steps
    assert steps >= 1
    plain = small_training(prepared, dataclasses.replace(SETTINGS, steps=steps))
    for name, training in (("fitted", fitted), ("plain", plain)):
        training.open(tmp_path / f"{name}.npz")
        training.run(tmp_path / f"{name}.npz", deadline=LATE, steps=3)
    found, wanted = weights(fitted), weights(plain)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_state_of_other_settings_is_refused(prepared, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    small_training(prepared).open(path)
    with pytest.raises(SpecError, match=r"Distillation steps must be 12, as when .* was begun, not 13"):
        small_training(prepared, dataclasses.replace(SETTINGS, steps=13)).open(path)
    samples = {"sampled-0000.npy": np.zeros(100, np.uint16)}
    with pytest.raises(SpecError, match="Training texts must be those that"):
        small_training(prepared, samples=samples).open(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SpecError, match=r"File state.npz must be a complete archive of arrays, but:"):
        small_training(prepared).open(path)


def test_a_broken_step_is_caught(prepared, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    training = small_training(prepared, dataclasses.replace(SETTINGS, weight_rate=1e30, scale_rate=1e30))
    training.open(path)
    with pytest.raises(SpecError, match="Training loss must stay finite, not become nan by step"):
        training.run(path, deadline=LATE)
    kept = small_training(prepared, dataclasses.replace(SETTINGS, weight_rate=1e30, scale_rate=1e30))
    course = load_state(path, kept.student, kept._optimizer, kept._settings)
    assert course.step == 0


def test_texts_must_be_long_enough(prepared) -> None:
    with pytest.raises(SpecError, match="Distillation length must be at most 256, not 300"):
        small_training(prepared, dataclasses.replace(SETTINGS, length=300))
    short = dataclasses.replace(prepared, texts={name: text[:10] for name, text in prepared.texts.items()})
    with pytest.raises(SpecError, match="Training text must be at least 25 tokens long, not 10"):
        small_training(short)
