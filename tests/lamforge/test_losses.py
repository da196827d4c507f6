"""A model that the engine's integers cannot hold is told of when it is compressed, and where it is run."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.lamforge.conftest import Command
from tests.reports.tiny_folder import write_checkpoint


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    """A checkpoint whose residual stream leaves the engine's fixed point after layer 0."""
    folder = write_checkpoint(tmp_path / "loud")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"] *= 60000
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_saturated_stream_is_told_where_it_is_made_and_run(loud: Path, made: Path, tmp_path: Path, command: Command) -> None:
    options = ["--recipe", made / "recipe.yaml", "-o", tmp_path / "model"]
    code, out, err = command("compress", loud, *options)
    assert code == 0
    said = next(line for line in err.splitlines() if "residual stream" in line)
    assert said.startswith("layers.0.feed_forward is ")
    assert said.endswith("no method of a recipe mends it")
    assert "more than is usual for their formats is lost at layers.0.feed_forward" in out
    code, out, err = command("compress", loud, *options, "--json")
    document = json.loads(out)
    assert said in document["warnings"]
    worst = next(half for half in document["halves"] if half["name"] == "layers.0.feed_forward")
    assert {cause["part"] for cause in worst["causes"]} >= {"residual stream"}
    assert worst["arithmetic"] > worst["arithmetic_allowed"]
    code, out, err = command("evaluate", tmp_path / "model", "--text", made / "text.txt", "--window", "32", "--json")
    assert "of the residual stream saturates after layers.0.feed_forward" in err
    assert 0 < json.loads(out)["saturated"]["layers.0.feed_forward"] < 1
    code, out, err = command("generate", tmp_path / "model", "hello", "--max-tokens", "2")
    assert "of the residual stream saturates after layers.0.feed_forward" in err


def test_a_sound_model_is_told_of_in_one_line(made: Path, tmp_path: Path, command: Command) -> None:
    options = ["--recipe", made / "recipe.yaml", "-o", tmp_path / "model"]
    code, out, err = command("compress", made / "hf", *options)
    assert code == 0
    assert "every layer loses what is usual for its formats" in out
    assert "usual" not in err
    document = json.loads(command("compress", made / "hf", *options, "--json")[1])
    assert document["warnings"] == []
    assert [half["name"] for half in document["halves"]][::5] == ["embedding", "head"]
