"""All stages of a distillation on a tiny model: through the command, and where there is little but PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from models.compressed import load
from models.config import ModelConfig
from models.distill.machine import machine_of
from models.distill.probe import probe as try_machine
from reports.distillation import export, main, named_paths, prepare, settings_of, shard_of
from tests.reports.tiny_folder import TEXT, write_checkpoint

SMALL = [
    *("sample_sequences=2", "sample_batch=2", "sample_length=40", "length=32", "batch=2", "steps=4", "block_share=0.5"),
    *("calibration_sequences=2", "sinks=2", "window=10"),
]
LACKING = ("gguf", "jinja2", "llvmlite", "numba", "pydantic", "pydantic_core", "rich", "safetensors", "tokenizers", "typer", "yaml")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a checkpoint `hf` and prepared parts in `work`."""
    write_checkpoint(tmp_path / "hf")
    (tmp_path / "text.txt").write_text(TEXT)
    text = tmp_path / "text.txt"
    told: list[str] = []
    document = prepare(
        str(tmp_path / "hf"), {"public-domain": text, "wikipedia": text}, {"held": text}, tmp_path / "work", told.append
    )
    assert document["bytes"] == sum(document["parts"].values())
    return tmp_path / "work"


def test_from_a_checkpoint_to_a_compressed_model(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--work", str(work), "--device", "cpu", *(part for text in SMALL for part in ("--set", text))]
    assert main(["sample", *options]) == 0
    assert "tokens: 80" in capsys.readouterr().out
    assert main(["train", *options, "--fit-minutes", "0.01", "--fit-only"]) == 0
    assert "steps: " in capsys.readouterr().out
    assert not (work / "w2s").exists()
    assert main(["train", *options, "--minutes", "0", "-o", str(work / "result")]) == 0
    assert "is_done: False" in capsys.readouterr().out
    assert main(["train", *options, "-o", str(work / "result"), "--windows", "2"]) == 0
    printed = capsys.readouterr()
    assert "is_done: True" in printed.out
    assert "goes on at step 1 of 4" in printed.err
    report = json.loads((work / "result" / "report.json").read_text())
    assert report["perplexities"]["held"]["student"]["windows"] == 2
    assert report["texts"]["sampled-0000.npy"] == 80
    more = ["train", *options, "--from", str(work / "result"), "--set", "seed=2", "-o", str(work / "more"), "--windows", "2"]
    assert main(more) == 2
    assert "Distillation seed must be 1, as when " in capsys.readouterr().err
    (work / "w2s" / "state.npz").unlink()
    assert main(more) == 0
    assert "begins as the result with digest " in capsys.readouterr().err
    start = json.loads((work / "more" / "report.json").read_text())["start"]
    assert (start["steps"], start["perplexities"]) == (4, report["perplexities"])
    document = export(str(work.parent / "hf"), work / "result", work / "model", lambda sentence: None)
    compressed = load(work / "model")
    assert compressed.model.fingerprint == document["fingerprint"]
    assert compressed.recipe.name == "w2sa8kv4-distilled"
    assert compressed.provenance.training is not None
    assert compressed.provenance.training["steps"] == 4


def test_training_needs_only_pytorch_and_numpy(work: Path) -> None:
    code = f"""
import sys

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Lacking())
from reports.distillation import main

options = ["--work", {str(work)!r}, "--device", "cpu"] + {[part for text in SMALL for part in ("--set", text)]}
sys.exit(main(["sample", *options]) or main(["train", *options, "-o", {str(work / "result")!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (work / "result" / "report.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["sample"], "Folder 'nowhere/prepared' must hold prepared-1-of-....part, which is missing\n"),
        (["train", "--device", "gpu"], "Device must be cuda or cpu, not 'gpu'\n"),
        (["train", "--attention", "dense"], "Attention of training must be one of flex, masked, not 'dense'\n"),
        (["train", "--set", "steps"], "Setting must read PATH=VALUE such as steps=2000, not 'steps'\n"),
        (["train", "--from", "nothing"], "Result of a training must be a folder or one of smollm2-135m-w2s, not 'nothing'\n"),
        (["sample", "--shard", "2/2"], "Shard must read OWN/COUNT, such as 0/2, not '2/2'\n"),
    ],
)
def test_refusals(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments if "--device" in arguments else [*arguments, "--device", "cpu"]
    assert main([*given, "--work", "nowhere"]) == 2
    assert capsys.readouterr().err == text


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
    found = try_machine(config, settings_of(SMALL), machine_of("cpu"), tmp_path, lambda sentence: None)
    assert min(found["block"].values()) > 0.9999
    assert found["trained_tokens_per_s"] > 0
    assert len(found["losses"]) >= 2


def test_options_are_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"format": "w2", "steps": 9}')
    settings = settings_of(["steps=11"], file)
    assert (settings.format, settings.steps) == ("w2", 11)
    assert shard_of("1/2") == (1, 2)
    assert named_paths(["a=b/c.txt"]) == {"a": Path("b/c.txt")}
    with pytest.raises(SpecError, match="Text must read NAME=FILE, not 'a'"):
        named_paths(["a"])
    file.write_text("{")
    with pytest.raises(SpecError, match="^Distillation settings file must be JSON, not the text of "):
        settings_of([], file)
