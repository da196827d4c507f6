"""Rates of a GPU from its measurements: those in its file are these, and exact laws come back exactly."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import SpecError
from hwsim.offload.devices import GPUS
from reports.studies.gpu_baseline import result
from reports.studies.gpu_rates import WAY, fitted, main, steps

H200 = GPUS.load("h200")
SHARES = ("product_share", "memory_share", "attention_share", "prompt_attention_share")
TIMES = ("launch", "product_launch", "attention_launch")


def test_the_file_of_the_gpu_has_the_fitted_rates() -> None:
    rates, written = fitted(H200, result("h200")), H200.rates()
    for name in SHARES:
        assert getattr(written, name) == pytest.approx(getattr(rates, name), abs=0.0006), name
    for name in TIMES:
        assert getattr(written, name).to("us") == pytest.approx(getattr(rates, name).to("us"), abs=0.06), name


def made() -> dict[str, Any]:
    """Return measurements of a GPU that keeps to the laws."""
    found = copy.deepcopy(result("h200"))
    memory, peak = 4.8e12, 989e12
    for row in found["product"]:
        operations = 2.0 * row["rows"] * row["columns"] * row["inner"]
        weights = 2.0 * (row["columns"] * row["inner"] + row["rows"] * (row["columns"] + row["inner"]))
        row["seconds"] = weights / (0.8 * memory) + 5e-6 if row["rows"] <= 64 else operations / (0.7 * peak)
    for row in found["decode_attention"]:
        row["seconds"] = 4.0 * row["keys"] * row["kv_heads"] * 128 * row["batch"] / (0.9 * memory) + 8e-6
    for row in found["prefill_attention"]:
        row["seconds"] = 2.0 * row["heads"] * 128 * row["tokens"] ** 2 / (0.5 * peak)
    for row in found["pointwise"]:
        row["seconds"] = 3e-6
    return found


def test_exact_laws_come_back() -> None:
    rates = fitted(H200, made())
    assert [getattr(rates, name) for name in SHARES] == pytest.approx([0.7, 0.8, 0.9, 0.5])
    assert [getattr(rates, name).to("us") for name in TIMES] == pytest.approx([3, 5, 8])


def test_steps_are_not_fitted_to() -> None:
    found = made()
    for row in found["network"]:
        row["seconds"] = None if row["seconds"] is None else 2 * row["seconds"]
    assert fitted(H200, found) == fitted(H200, made())
    doubled = list(steps(H200.rates(), found))
    for one, two in zip(steps(H200.rates(), result("h200")), doubled, strict=True):
        assert two.measured.value == 2 * one.measured.value
        assert two.ours.value == one.ours.value


def test_other_kernels_of_attention_do_not_count() -> None:
    found = made()
    for row in found["decode_attention"]:
        if row["way"] != WAY:
            row["seconds"] *= 7
    assert fitted(H200, found) == fitted(H200, made())


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SpecError) as refusal:
        fitted(H200, {"product": []})
    assert str(refusal.value).startswith("Measurements must be what reports.studies.gpu_baseline writes, but lack ")


def test_the_command_prints_rates_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps(result("h200")))
    assert main([str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("product_share: 0.666\n")
    assert "llama-2-7b, decode, batch 1, 2048 tokens" in out
    assert main([str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.startswith("Measurements must be a readable JSON file")
