"""All stages of a distillation on a tiny model, as functions."""

import json
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from lamforge.flow.distill import export, merge, prepare, sample, train
from models.compressed import load
from models.config import ModelConfig
from models.distill.machine import machine_of
from models.distill.probe import probe as try_machine
from models.distill.settings import Settings
from reports.documents.model import distilled_document
from reports.documents.plain import lesson_document, plain
from reports.text.model import distilled_text, lesson_text
from reports.text.values import values_text
from tests.reports.tiny_folder import TEXT, write_checkpoint

SMALL = {
    **{"sample_sequences": 2, "sample_batch": 2, "sample_length": 40, "length": 32, "batch": 2, "steps": 4, "block_share": 0.5},
    **{"calibration_sequences": 2, "sinks": 2, "window": 10},
}


def test_from_a_checkpoint_to_a_compressed_model(tmp_path: Path) -> None:
    work, hf, text, result = tmp_path / "work", str(tmp_path / "hf"), tmp_path / "text.txt", tmp_path / "result"
    write_checkpoint(tmp_path / "hf")
    text.write_text(TEXT)
    prepared = prepare(hf, texts={"public-domain": text, "wikipedia": text}, evaluations={"held": text}, work=work)
    document = plain(prepared)
    assert document["bytes"] == sum(document["parts"].values()) == sum(path.stat().st_size for path in prepared.parts)
    assert values_text(prepared).startswith("model")
    sampled = sample(work=work, settings=SMALL, device="cpu")
    assert plain(sampled) == {"tokens": 80, "device": "CPU"}
    assert values_text(sampled) == "tokens  80\ndevice  CPU"
    fitted = train(work=work, settings=SMALL, device="cpu", fit_minutes=0.01, is_fit_only=True)
    assert lesson_document(fitted) == {"device": "CPU", "steps": fitted.report.settings.steps}
    assert "steps that fit" in lesson_text(fitted)
    assert not (work / "w2s").exists()
    begun = train(work=work, settings=SMALL, device="cpu", minutes=0, output=result)
    assert (begun.is_done, begun.report.steps, begun.report.perplexities) == (False, 1, None)
    assert "1 of 4, another call goes on" in lesson_text(begun)
    trained = train(work=work, settings=SMALL, device="cpu", output=result, max_windows=2)
    assert trained.is_done
    report = json.loads((result / "report.json").read_text())
    assert json.loads(json.dumps(lesson_document(trained))) == report | {"is_done": True}
    assert report["perplexities"]["held"]["student"]["windows"] == 2
    assert report["texts"]["sampled-0000.npy"] == 80
    assert f"perplexity {report['perplexities']['held']['student']['perplexity']:.3f}, " in lesson_text(trained)
    further = {"work": work, "device": "cpu", "from_result": str(result), "output": tmp_path / "more", "max_windows": 2}
    with pytest.raises(SpecError, match="Distillation seed must be 1, as when "):
        train(settings=SMALL | {"seed": 2}, **further)
    (work / "w2s" / "state.npz").unlink()
    start = train(settings=SMALL | {"seed": 2}, **further).report.start
    assert (start["steps"], start["perplexities"]) == (4, report["perplexities"])
    merged = merge(first=str(result), second=tmp_path / "more", output=tmp_path / "merged", from_layer=1)
    assert json.loads((merged.folder / "report.json").read_text())["merged"]["from_layer"] == 1
    made = export(hf, result=result, output=tmp_path / "model")
    compressed = load(tmp_path / "model")
    assert compressed.model.fingerprint == distilled_document(made)["fingerprint"]
    assert compressed.recipe.name == "w2sa8kv4-distilled"
    assert compressed.provenance.training is not None
    assert compressed.provenance.training["steps"] == 4
    assert plain(made.perplexities) == report["perplexities"]
    assert lesson_text(trained).splitlines()[-1].split()[1:] == distilled_text(made).splitlines()[-1].split()[1:]


def test_a_machine_can_be_tried(tmp_path: Path) -> None:
    config = ModelConfig(
        name="probe",
        hidden=64,
        layers=1,
        heads=2,
        kv_heads=1,
        head_dim=32,
        ffn=64,
        vocab=96,
        norm_eps=1e-5,
        rope_base=1e4,
        tied_head=True,
        max_positions=64,
    )
    found = try_machine(config, Settings.from_document(SMALL), machine_of("cpu"), tmp_path, lambda sentence: None)
    assert min(found.block.values()) > 0.9999
    assert found.trained_tokens_per_s > 0
    assert len(found.losses) >= 2
    # A processor has no graphs and no memory of its own.
    assert not {"graph_agreement", "distinct_sequences", "peak_bytes"} & set(plain(found))
    assert "input gradient" in values_text(found)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        sample(work=tmp_path, device="cpu", shard=(2, 2))
    assert str(refused.value) == "Shard must be a number from 0 and the count that it stays below, such as 0 2, not 2 2"
    (tmp_path / "text.txt").write_bytes(b"\xff")
    write_checkpoint(tmp_path / "hf")
    with pytest.raises(SpecError, match="Text text.txt must be a readable UTF-8 file, but: "):
        prepare(str(tmp_path / "hf"), texts={"wikipedia": tmp_path / "text.txt"}, work=tmp_path)
