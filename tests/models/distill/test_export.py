"""What was trained is what the engine computes."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsim.errors import SpecError
from models.distill.evaluation import evaluate, exact_plan, measured
from models.distill.export import integer_model
from models.distill.result import read_result, write_result
from models.evaluate import perplexity
from models.integer import IntegerReference
from tests.models.distill.small import SETTINGS, small_checkpoint, small_prepared, small_training

CPU = torch.device("cpu")


def trained(tmp_path: Path, format: str):
    checkpoint = small_checkpoint(tmp_path)
    prepared = small_prepared(checkpoint)
    settings = dataclasses.replace(SETTINGS, format=format, steps=30, mask_share=0.2)
    training = small_training(prepared, settings)
    training.open(tmp_path / "state.npz")
    training.run(tmp_path / "state.npz", deadline=time.monotonic() + 1e6)
    return checkpoint, prepared, settings, training


@pytest.mark.parametrize("format", ["w2s", "w2"])
def test_the_integer_model_is_the_student(tmp_path: Path, format: str) -> None:
    checkpoint, prepared, settings, training = trained(tmp_path, format)
    training.finish(tmp_path / "result", is_measured=False)
    result = read_result(tmp_path / "result")
    model = integer_model(result, checkpoint)
    for name, weight in training.student.weights():
        held = model.matrices[name].dequantize().astype(np.float32)
        np.testing.assert_array_equal(held, weight.effective(torch.zeros(())).detach().numpy())
    tokens = prepared.texts["wikipedia"][:240]
    plan = exact_plan(prepared, settings, 60, CPU)
    student = training.student.logits(torch.from_numpy(tokens[:60].astype(np.int64))[None], plan)[0]
    integer = IntegerReference(model).logits(tokens[:60].tolist())
    # A code may differ by one where a value lies on a border; else the two agree to the fractions of fixed values.
    assert float((student - integer).square().mean().sqrt()) < 0.03 * float(integer.square().mean().sqrt())
    assert float((student - integer).abs().median()) < 0.01
    fake = measured(training.student.logits, tokens, lambda length: exact_plan(prepared, settings, length, CPU), CPU, length=60)
    exact = perplexity(IntegerReference(model), tokens.tolist(), length=60)
    assert fake["perplexity"] == pytest.approx(exact.perplexity, rel=5e-3)
    assert fake["tokens"] == exact.tokens


def test_another_student_is_not_the_integer_model(tmp_path: Path) -> None:
    """The comparison above can fail: with gains a hundredth larger it would."""
    checkpoint, prepared, settings, training = trained(tmp_path, "w2s")
    training.finish(tmp_path / "result", is_measured=False)
    result = read_result(tmp_path / "result")
    tokens = prepared.texts["wikipedia"][:60]
    changed = dataclasses.replace(result, gains={name: gain * 1.05 for name, gain in result.gains.items()})
    integer = IntegerReference(integer_model(changed, checkpoint)).logits(tokens.tolist())
    plan = exact_plan(prepared, settings, 60, CPU)
    student = training.student.logits(torch.from_numpy(tokens.astype(np.int64))[None], plan)[0]
    assert float((student - integer).abs().median()) > 0.01


def test_the_report_compares_with_the_teacher(tmp_path: Path) -> None:
    _, prepared, settings, training = trained(tmp_path, "w2")
    told: list[str] = []
    found = evaluate(training.student, prepared, settings, CPU, told.append)["held"]
    assert found["teacher"]["tokens"] == found["student"]["tokens"] == 57
    assert found["ratio"] == pytest.approx(found["student"]["perplexity"] / found["teacher"]["perplexity"])
    assert found["teacher"]["perplexity"] != found["teacher_lambda"]["perplexity"]
    assert told[0].startswith("perplexity on held: teacher ")


def test_results_travel_in_parts(tmp_path: Path) -> None:
    checkpoint, prepared, _, training = trained(tmp_path, "w2s")
    paths = write_result(tmp_path / "parts", training.student, checkpoint.digest, {"steps": 3}, part_bytes=5000)
    assert len(paths) > 2
    assert max(path.stat().st_size for path in paths) <= 5000
    assert read_result(tmp_path / "parts").report == {"steps": 3}
    paths[1].unlink()
    with pytest.raises(SpecError, match=f"parts of result, but lacks {paths[1].name}"):
        read_result(tmp_path / "parts")
    write_result(tmp_path / "parts", training.student, "another", {}, part_bytes=10**6)
    with pytest.raises(SpecError, match="Checkpoint must be the teacher with digest another, not one with"):
        integer_model(read_result(tmp_path / "parts"), checkpoint)
