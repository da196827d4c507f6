"""`lamforge gpu`: a measured file is whole, and rates are fitted to one."""

import json
from pathlib import Path

import pytest

from reports.documents.plain import plain
from reports.studies.gpu_baseline import result
from tests.lamforge.conftest import Command
from tests.reports.studies.test_gpu_baseline import SMALL


def test_a_device_is_measured_into_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(SMALL))
    given = ("gpu", "measure", "--device", "cpu", "--settings", tmp_path / "settings.json", "-o", tmp_path / "cpu.json")
    code, out, err = command(*given, "--set", "repeats=1")
    assert code == 0
    assert "s on CPU, PyTorch " in out
    assert "network: 3 measurements" in err
    assert json.loads((tmp_path / "cpu.json").read_text())["settings"] == SMALL | {"repeats": 1}


def test_rates_and_errors_are_printed(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps(plain(result("h200"))))
    code, out, _ = command("gpu", "fit", file)
    assert code == 0
    assert [line.split() for line in out.splitlines()[:2]] == [["product_share:", "0.666"], ["memory_share:", "0.901"]]
    assert "llama-2-7b, decode, batch 1, 2048 tokens" in out
    code, out, _ = command("gpu", "fit", file, "--json")
    document = json.loads(out)
    assert document["rates"]["launch_us"] > 0
    step = document["steps"][0]
    assert step["error"] == pytest.approx(step["ours_s"] / step["measured_s"] - 1)


def test_refusals(command: Command, tmp_path: Path) -> None:
    code, _, err = command("gpu", "fit", tmp_path / "none.json")
    assert (code, err.startswith("Measurements file must be readable, not 'none.json' (")) == (2, True)
    assert command("gpu", "measure")[2].startswith("Missing option '--output'")
    code, _, err = command("gpu", "measure", "--device", "tpu", "-o", tmp_path / "x.json")
    assert (code, err) == (2, "Device must be cuda or cpu, not 'tpu'\n")
    assert not (tmp_path / "x.json").exists()
