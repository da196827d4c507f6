"""`lamforge dummy`: a model of a size, or one sentence."""

import json
from pathlib import Path

from models.compressed import load
from tests.lamforge.conftest import Command


def test_a_model_is_written(command: Command, tmp_path: Path) -> None:
    given = ("dummy", "smollm2-135m", "-o", tmp_path / "model", "--attention", "lambda:4+60", "--head", "w8", "--json")
    code, out, err = command(*given)
    assert code == 0, err
    assert json.loads(out) == {
        "verb": "dummy",
        "network": "smollm2-135m",
        "folder": str(tmp_path / "model"),
        "bytes": sum(path.stat().st_size for path in (tmp_path / "model").iterdir()),
    }
    made = load(tmp_path / "model")
    assert (str(made.model.pattern), made.model.matrices["head"].format.name) == ("lambda:4+60", "W8")


def test_what_is_not_known_is_refused(command: Command, tmp_path: Path) -> None:
    code, _, err = command("dummy", "llama-9", "-o", tmp_path / "model")
    assert (code, "must be one of" in err, err.count("\n")) == (2, True, 1)
    code, _, err = command("dummy", "smollm2-135m", "--format", "w3", "-o", tmp_path / "model")
    assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "model").exists()
