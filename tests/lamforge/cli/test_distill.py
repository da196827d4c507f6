"""`lamforge distill`: its stages hand on to each other, each has only the options it uses, and what is missing is said."""

from pathlib import Path

import pytest

from tests.lamforge.conftest import Command
from tests.reports.tiny_folder import TEXT, write_checkpoint

SMALL = ("sample_sequences=2", "sample_batch=2", "sample_length=40", "length=32", "batch=2", "steps=2", "calibration_sequences=2")


def test_the_stages(command: Command, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf")
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    work = ("--work", tmp_path / "work")
    options = (*work, "--device", "cpu", *(part for setting in SMALL for part in ("--set", setting)))
    texts = ("--text", f"public-domain={text}", "--text", f"wikipedia={text}", "--evaluation", f"held={text}")
    code, out, err = command("distill", "prepare", tmp_path / "hf", *work, *texts)
    assert (code, out.startswith("model")) == (0, True), err
    assert command("distill", "sample", *options, "--shard", 0, 1)[0] == 0
    code, out, err = command("distill", "train", *options, "--windows", "1", "-o", tmp_path / "result", "--json")
    assert code == 0
    assert '"is_done": true' in out
    assert " s] step 2/2 " in err
    code, out, _ = command("distill", "export", tmp_path / "hf", "--result", tmp_path / "result", "-o", tmp_path / "model")
    assert code == 0
    assert "fingerprint" in out
    code, out, _ = command(
        "evaluate", tmp_path / "model", "--source", tmp_path / "hf", "--text", text, "--window", "32", "--windows", "2"
    )
    assert code == 0


@pytest.mark.parametrize("verb", ["prepare", "probe", "sample", "train", "merge", "export"])
def test_help_teaches(command: Command, verb: str) -> None:
    code, out, _ = command("distill", verb, "--help")
    assert code == 0
    assert "--json" in out
    assert "Example" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("prepare",), "Missing argument 'CHECKPOINT'"),
        (("export", "x", "-o", "y"), "Missing option '--result'"),
        (("export", "x", "--result", "r"), "Missing option '--output'"),
        (("merge", "--from", "x", "--result", "y", "-o", "z"), "Missing option '--layer'"),
        (("sample", "--work", "nowhere", "--device", "cpu"), "Folder 'nowhere/prepared' must hold prepared-1-of-"),
        (("sample", "--fit-minutes", "3"), "No such option: --fit-minutes"),
        (("export", "x", "--device", "cpu"), "No such option: --device"),
        (("prepare", "x", "--text", "a"), "Text must be NAME=FILE, not 'a'\n"),
        (("train", "--kernel", "dense", "--device", "cpu"), "Kernel of attention in training must be flex or masked, not "),
    ],
)
def test_what_is_missing_is_said(command: Command, arguments: tuple[str, ...], text: str) -> None:
    code, out, err = command("distill", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(text)
