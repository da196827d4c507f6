"""What was trained is what the engine computes."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from hwsim.arch.formats import unpacked_of
from hwsim.arch.numerics import FRACTION_BITS
from hwsim.errors import SpecError
from models.distill.attention import attend, rotate
from models.distill.evaluation import evaluate, exact_plan, measured
from models.distill.result import read_result, write_result
from models.distill.rounding import act_codes, kv_codes
from models.distill.student import normed
from models.evaluation.perplexity import perplexity
from models.evaluation.reading import Integers
from models.integer import IntegerModel, IntegerReference
from tests.models.distill.small import SETTINGS, integer_model, small_checkpoint, small_prepared, small_training

CPU = torch.device("cpu")


def logits(model: IntegerModel, tokens: list[int]) -> torch.Tensor:
    reference = IntegerReference(model)
    return reference.continued(reference.open(), tokens)


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
        held = unpacked_of(model.matrices[name]).dequantize().astype(np.float32)
        np.testing.assert_array_equal(held, weight.effective(torch.zeros(())).detach().numpy())
    tokens = np.concatenate([prepared.texts[name] for name in ("wikipedia", "public-domain")])
    plan = exact_plan(prepared, settings, 60, CPU)
    student = training.student.logits(torch.from_numpy(tokens[:60].astype(np.int64))[None], plan)[0]
    integer = logits(model, tokens[:60].tolist())
    # A code may differ by one where a value lies on a border, which later tokens and layers then see.
    assert float((student - integer).square().mean().sqrt()) < 0.1 * float(integer.square().mean().sqrt())
    fake = measured(training.student.logits, tokens, lambda length: exact_plan(prepared, settings, length, CPU), CPU, length=60)
    exact = perplexity(Integers(IntegerReference(model)), tokens.tolist(), length=60)
    assert fake.perplexity == pytest.approx(exact.perplexity, rel=5e-3)
    assert fake.tokens == exact.tokens


def test_every_stage_has_the_engines_codes(tmp_path: Path) -> None:
    """Given what the engine was given, stage by stage: codes are others only at borders, and then by one."""
    checkpoint, prepared, settings, training = trained(tmp_path, "w2s")
    training.finish(tmp_path / "result", is_measured=False)
    reference = IntegerReference(integer_model(read_result(tmp_path / "result"), checkpoint))
    tokens = prepared.texts["wikipedia"][:40].astype(np.int64)
    recorded: dict[str, list[np.ndarray]] = {}
    state = reference.open()
    for token in tokens:
        reference.step(state, int(token), lambda name, values: recorded.setdefault(name, []).append(np.array(values)))

    def raw(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack(recorded[name])).double()

    def fixed(name: str) -> torch.Tensor:
        return raw(name) / (1 << FRACTION_BITS)

    def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
        apart = (found - wanted).abs()
        assert float(apart.max()) <= 1
        assert float((apart > 0).double().mean()) < 0.01

    student, config = training.student.requires_grad_(False), checkpoint.config
    block, plan = next(student.layers()), exact_plan(prepared, settings, len(tokens), CPU)
    plan = dataclasses.replace(plan, own=plan.own.double(), towards_sinks=plan.towards_sinks.double())
    assert torch.equal(fixed("embedding"), student.embedding[tokens].double())
    codes, scale = act_codes(normed(fixed("embedding"), block.attention_norm.double(), config.norm_eps))
    same(codes, raw("layers.0.attention_norm.codes"))
    weight = block.qkv.effective(torch.zeros(())).double()
    flat = raw("layers.0.attention_norm.codes") @ weight.T * scale
    torch.testing.assert_close(flat, fixed("layers.0.qkv"), rtol=1e-3, atol=1e-3)
    heads = fixed("layers.0.qkv").unflatten(-1, (-1, config.head_dim)).transpose(0, 1)
    queries, keys, values = heads.split([config.heads, config.kv_heads, config.kv_heads])
    for name, rotation in (("query", plan.own), ("sink_query", plan.towards_sinks)):
        for head, rows in enumerate(act_codes(rotate(queries, rotation))[0]):
            same(rows, raw(f"layers.0.{name}.head{head}.codes"))
    for name, cached in (("key", rotate(keys, plan.own)), ("value", values)):
        for head, rows in enumerate(kv_codes(cached)[0]):
            same(rows, raw(f"layers.0.{name}.head{head}.codes") - raw(f"layers.0.{name}.head{head}.parameter")[:, 2:])
    mixed = attend(queries[None], keys[None], values[None], plan)[0].transpose(0, 1).flatten(1)
    torch.testing.assert_close(mixed, fixed("layers.0.attended"), rtol=0, atol=0.02)
    assert float((mixed - fixed("layers.0.attended")).square().mean().sqrt()) < 1e-3
    same(act_codes(fixed("layers.0.attended"))[0], raw("layers.0.attended.codes"))
    gate, up = fixed("layers.0.gateup").chunk(2, dim=-1)
    same(act_codes(functional.silu(gate) * up)[0], raw("layers.0.swiglu.codes"))
    codes, scale = act_codes(normed(fixed("layers.1.down"), student.final_norm.double(), config.norm_eps))
    same(codes, raw("final_norm.codes"))
    logits = raw("final_norm.codes") @ student.head.double().T * scale
    torch.testing.assert_close(logits, fixed("logits"), rtol=1e-3, atol=1e-3)


def test_another_student_is_not_the_integer_model(tmp_path: Path) -> None:
    """The comparison of logits can fail: with gains half as large again it does."""
    checkpoint, prepared, settings, training = trained(tmp_path, "w2s")
    training.finish(tmp_path / "result", is_measured=False)
    result = read_result(tmp_path / "result")
    tokens = prepared.texts["wikipedia"][:60]
    changed = dataclasses.replace(result, gains={name: gain * 1.5 for name, gain in result.gains.items()})
    integer = logits(integer_model(changed, checkpoint), tokens.tolist())
    plan = exact_plan(prepared, settings, 60, CPU)
    student = training.student.logits(torch.from_numpy(tokens.astype(np.int64))[None], plan)[0]
    assert float((student - integer).square().mean().sqrt()) > 0.1 * float(integer.square().mean().sqrt())


def test_the_report_compares_with_the_teacher(tmp_path: Path) -> None:
    _, prepared, settings, training = trained(tmp_path, "w2")
    told: list[str] = []
    found = evaluate(training.student, prepared, told.append)["held"]
    assert found.teacher.tokens == found.student.tokens == 57
    assert found.ratio == pytest.approx(found.student.perplexity / found.teacher.perplexity)
    assert found.teacher.perplexity != found.teacher_lambda.perplexity
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


@pytest.mark.parametrize("format", ["w2s", "w2"])
def test_a_student_that_starts_from_a_result_is_that_student(tmp_path: Path, format: str) -> None:
    checkpoint, prepared, settings, training = trained(tmp_path, format)
    training.finish(tmp_path / "result", is_measured=False)
    result = read_result(tmp_path / "result")
    other = dataclasses.replace(settings, steps=4, block_share=0.0, weight_rate=0.05)
    again = small_training(prepared, other, start=result)
    again.open(tmp_path / "again.npz")
    tokens = torch.from_numpy(prepared.texts["wikipedia"][:40].astype(np.int64))[None]
    plan = exact_plan(prepared, settings, 40, CPU)
    assert torch.equal(again.student.logits(tokens, plan), training.student.logits(tokens, plan))
    again.finish(tmp_path / "unchanged", is_measured=False)
    unchanged = read_result(tmp_path / "unchanged")
    for name, wanted in result.matrices.items():
        for entry in dataclasses.fields(wanted):
            np.testing.assert_array_equal(getattr(unchanged.matrices[name], entry.name), getattr(wanted, entry.name))
    for name, gain in result.gains.items():
        np.testing.assert_array_equal(unchanged.gains[name], gain)
    # It learns from there, and the new result says from where.
    assert again.run(tmp_path / "again.npz", deadline=time.monotonic() + 1e6)
    again.finish(tmp_path / "more", is_measured=False)
    more = read_result(tmp_path / "more")
    assert any(not np.array_equal(more.matrices[name].codes, result.matrices[name].codes) for name in result.matrices)
    assert more.report["start"] == unchanged.report["start"] == result.summary()
    assert more.report["start"]["digest"] == result.digest
    assert (more.report["start"]["steps"], more.report["steps"], result.report["start"]) == (30, 4, None)
    assert integer_model(more, checkpoint).matrices


def test_a_start_must_belong_to_the_training(tmp_path: Path) -> None:
    _, prepared, settings, training = trained(tmp_path, "w2s")
    training.finish(tmp_path / "result", is_measured=False)
    result = read_result(tmp_path / "result")
    with pytest.raises(SpecError, match="Distillation format must be w2s, as in the result it starts from, not w2"):
        small_training(prepared, dataclasses.replace(settings, format="w2"), start=result)
    own = prepared.source_digest[:12]
    with pytest.raises(SpecError, match=f"must be a student of the teacher with digest {own}, not of one with 0000"):
        small_training(prepared, settings, start=dataclasses.replace(result, source_digest="0" * 64))
    with pytest.raises(SpecError, match=f"must start from the teacher, as when .* was begun, not from {result.digest[:12]}"):
        small_training(prepared, settings, start=result).open(tmp_path / "state.npz")
