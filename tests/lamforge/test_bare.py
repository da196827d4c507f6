"""`python -m lamforge.bare`: its arguments are the fields of requests, and it needs PyTorch and NumPy alone."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hwsim.errors import SpecError
from lamforge.bare import VERBS, main, settings_of
from lamforge.flow.distill import prepare
from tests.reports.studies.test_gpu_baseline import SMALL as MEASURED
from tests.reports.tiny_folder import TEXT, write_checkpoint

Alone = Callable[[str], subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
SMALL = [
    *("sample_sequences=2", "sample_batch=2", "sample_length=40", "length=32", "batch=2", "steps=4", "block_share=0.5"),
    *("calibration_sequences=2", "sinks=2", "window=10"),
]
OPTIONS = ["--device", "cpu", *(part for text in SMALL for part in ("--set", text))]
PRESENT = {"numpy", "torch", "torchgen", "functorch", "triton", "nvidia"}
"""What a training machine has, beside what PyTorch itself comes with:"""
WITH_PYTORCH = {"typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "isympy"}


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    """Return a function that runs Python where no installed package is found but PyTorch and NumPy."""
    place = tmp_path / "packages"
    place.mkdir()
    for entry in Path(torch.__file__).parents[1].iterdir():
        if entry.name.partition(".")[0] in PRESENT | WITH_PYTORCH:
            (place / entry.name).symlink_to(entry)

    def run(code: str) -> subprocess.CompletedProcess[str]:
        begun = f"import sys\nsys.path += [{str(ROOT)!r}, {str(place)!r}]\n{code}"
        # Without its site, Python has only its own modules.
        return subprocess.run([sys.executable, "-I", "-S", "-c", begun], capture_output=True, text=True, cwd=tmp_path)

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder that a checkpoint was prepared in."""
    write_checkpoint(tmp_path / "hf")
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    texts = {"public-domain": text, "wikipedia": text}
    prepare(str(tmp_path / "hf"), texts=texts, evaluations={"held": text}, work=tmp_path / "work")
    return tmp_path / "work"


def test_training_needs_only_pytorch_and_numpy(work: Path, alone: Alone) -> None:
    options = ["--work", str(work), *OPTIONS]
    trained = [*options, "--output", str(work / "result")]
    calls = f"main({['distill.sample', *options]}) or main({['distill.train', *trained]})"
    ended = alone(f"from lamforge.bare import main\nsys.exit({calls})")
    assert ended.returncode == 0, ended.stderr
    sampled, _, report = ended.stdout.partition("\n}\n")
    assert json.loads(sampled + "}") == {"tokens": 80, "device": "CPU"}
    assert json.loads(report)["is_done"]
    assert re.search(r"\[ +\d+\.\d s\] step 4/4 ", ended.stderr)
    assert (work / "result" / "report.json").is_file()


def test_measuring_needs_only_pytorch_and_numpy(tmp_path: Path, alone: Alone) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(MEASURED))
    given = ["gpu.measure", "--device", "cpu", "--settings", str(tmp_path / "settings.json"), "--set", "warm=0"]
    ended = alone(f"from lamforge.bare import main\nsys.exit(main({given}))")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["gpu"], found["settings"]) == ({"name": "CPU"}, MEASURED | {"warm": 0})


def test_other_packages_are_really_missing(alone: Alone) -> None:
    for package in ("typer", "rich", "yaml", "pydantic", "safetensors", "numba"):
        assert f"No module named '{package}'" in alone(f"import {package}").stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_is_an_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "Attributes:" in out
    shown = set(re.findall(r"--[a-z-]+", out))
    assert shown > {"--device", "--settings", "--set"}
    assert (verb == "distill.train") == (shown > {"--fit-only", "--from-result", "--eager"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["distill.sample"], "Folder 'nowhere/prepared' must hold prepared-1-of-....part, which is missing\n"),
        (["distill.train", "--device", "gpu"], "Device must be cuda or cpu, not 'gpu'\n"),
        (["distill.train", "--kernel", "dense"], "Kernel of attention in training must be flex or masked, not 'dense'\n"),
        (["distill.train", "--set", "steps"], "Setting must be NAME=VALUE such as steps=2000, not 'steps'\n"),
        (
            ["distill.train", "--from-result", "nothing"],
            "Result of a training must be a folder or one of smollm2-135m-w2s, not 'nothing'\n",
        ),
        (
            ["distill.sample", "--shard", "2", "2"],
            "Shard must be a number from 0 and the count that it stays below, such as 0 2, not 2 2\n",
        ),
    ],
)
def test_refusals(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments if "--device" in arguments else [*arguments, "--device", "cpu"]
    assert main([*given, "--work", "nowhere"]) == 2
    assert capsys.readouterr().err == text


def test_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"format": "w2", "steps": 9}')
    assert settings_of(["steps=11", "clip=1e-3", "name=a=b"], file) == {"format": "w2", "steps": 11, "clip": 1e-3, "name": "a=b"}
    file.write_text("[1]")
    with pytest.raises(SpecError, match=r"Settings settings.json must be a JSON object of values by name, not \[1\]"):
        settings_of([], file)
    file.write_text("{")
    with pytest.raises(SpecError, match="Settings file must be JSON, not the text of 'settings.json'"):
        settings_of([], file)
