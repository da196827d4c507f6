"""`lamforge offload` at its border: documents, texts, files and refusals."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from hwsim.offload.systems import names
from lamforge.cli.main import main


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["offload", *arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_run_answers_everything(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--model", "llama-3-70b", "--prompt", "512", "--generate", "32", "--batch", "96", "--json"]
    code, out, _ = run(["run", "zero-a100", *asked], capsys)
    assert code == 0
    document = json.loads(out)
    assert document["fits"]
    assert document["binding"]["step"] == "drive"
    assert sum(document["step"]["charged_s"].values()) == pytest.approx(document["step_s"])
    weights = 80 * (8192 * 128 * 2 * (64 + 8) + 3 * 8192 * 28672) * 2
    assert document["step"]["moved_bytes"]["drive"] == pytest.approx(weights)
    assert 0 < document["assumed_share"] < 1
    assert document["joules_per_token"] > 0
    assert document["usd_per_million_tokens"] > 0


def test_run_says_by_how_much_it_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["run", "gpu-rtx-4090", "--model", "llama-3-70b"], capsys)
    assert code == 0
    assert "does not fit  GPU memory 143 GB of 25.8 GB, over by 117 GB" in out


def test_compare_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lines.svg"
    code, out, _ = run(["compare", "gpu-a100", "shadowkv-a100", "--plot", str(file)], capsys)
    assert code == 0
    assert "overtakes" in out or "Nothing changes places." in out
    assert file.read_text().startswith("<svg ")


def test_compare_looks_closely_at_one_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["compare", "gpu-rtx-4090", "shadowkv-a100", "gpu-a100", "--prompt", "65536", "--batch", "1"]
    code, out, _ = run(asked, capsys)
    assert code == 0
    found = [line.split()[0] for line in out.splitlines()[3:6]]
    assert found == ["shadowkv-a100", "gpu-a100", "gpu-rtx-4090"]
    assert "after 65,536 tokens of prompt" in out
    assert "gpu-rtx-4090   does not fit" in out
    _, text, _ = run([*asked, "--json"], capsys)
    at = json.loads(text)["at"]
    assert at["contexts"] == [65536.0]
    assert at["lines"][2]["batch"] == [1.0]


def test_search_places_and_answers(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["search", "flexgen-t4", "--model", "opt-30b", "--prompt", "512", "--generate", "32", "--json"], capsys)
    assert code == 0
    document = json.loads(out)
    assert document["answer"]["fits"]
    # More than the policy that FlexGen published for the same work.
    assert document["answer"]["tokens_per_s"] > 7.32
    for split in document["placement"].values():
        assert sum(split.values()) == pytest.approx(100)


def test_list_names_every_system(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["list", "--json"], capsys)
    assert code == 0
    assert list(json.loads(out)["systems"]) == names()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "Missing argument 'SYSTEM[:FORMAT[:WINDOW]]' (see `lamforge offload run --help`)"),
        (["search", "a", "b"], "Got unexpected extra argument(s) (b) (see `lamforge offload search --help`)"),
        (["search", "gpu-a100"], "System of a search must be one that splits tensors, such as flexgen-t4, not gpu-a100"),
        (["search", "flexgen-t4", "--batch", "4"], "No such option: --batch (see `lamforge offload search --help`)"),
        (["list", "--batch", "9"], "No such option: --batch (see `lamforge offload list --help`)"),
        (["run", "triforce-a100", "--batch", "4"], "Batch of triforce-a100 must be at most 1, not 4"),
        (
            ["run", "flexgen-t4", "--set", "weights.gpu=90"],
            "Split must add up to at most 100 percent, not 90 on the GPU and 80 on the host",
        ),
        (["compare", "--set", "gpus=2"], "Settings must be those of one system, not of 16: name the one to change"),
        (["compare", "--prompt", "0"], "Prompt must be a whole number from 1 to 16777216, not 0"),
        (["run", "gpu-a100", "--set", "gpus"], "Setting must read PATH=VALUE such as csds=2, not 'gpus'"),
    ],
)
def test_refusals(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments, capsys) == (2, "", f"{sentence}\n")


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, out, err = run(["compare", "gpu-a100", "--plot", str(tmp_path / "file" / "x.svg")], capsys)
    assert (code, out) == (2, "")
    assert "must be" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
