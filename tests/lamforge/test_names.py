"""Names that go into paths, makefiles and scripts are checked wherever they come from: files, settings and Python."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

import lamforge
from hwsim.arch.board import load_board
from hwsim.arch.config import load_engine
from hwsim.errors import ConfigError, LamforgeError, SpecError
from lamforge.explore.study import load_study
from lamforge.flow.compress import chosen_recipe
from tests.lamforge.conftest import Command
from tests.reports.tiny_folder import RECIPE

NAMES = [
    *("../../../outside/x", "mine\n", "x\n$(shell touch pwned)\n#", "a b", "", ".", "..", "a..b", "-o", ".a"),
    *("x" * 65, "é", "a/b", 123, None, [1, 2]),
]
MUST = "must be 1 to 64 letters, digits, '.', '_' and '-' that begin with a letter or a digit and have no '..', not "


@pytest.fixture(params=NAMES, ids=lambda name: repr(name)[:12])
def name(request: pytest.FixtureRequest) -> object:
    return request.param


def test_engines(name: object, tmp_path: Path, command: Command) -> None:
    (tmp_path / "engine.yaml").write_text(yaml.safe_dump(load_engine("tiny").to_dict() | {"name": name}))
    code, out, err = command("rtl", "--engine", tmp_path / "engine.yaml", "--board", "u280", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith(f"Engine name {MUST}")
    assert err.count("\n") == 1
    with pytest.raises(ConfigError, match=f"^Engine name {re.escape(MUST)}"):
        lamforge.rtl(dataclasses.replace(load_engine("tiny"), name=name), output=tmp_path / "out")
    with pytest.raises(ConfigError, match=f"^Engine name {re.escape(MUST)}"):
        lamforge.rtl("tiny", output=tmp_path / "out", settings={"name": name})
    assert [path.name for path in tmp_path.iterdir()] == ["engine.yaml"]


def test_boards_and_studies(name: object, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    for folder, kind, load in (("hwsim/specs/boards", "Board", load_board), ("lamforge/explore/studies", "Study", load_study)):
        shipped = Path(lamforge.__file__).parents[1] / folder / "u280.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(shipped.read_text()) | {"name": name}))
        with pytest.raises(LamforgeError, match=f"{kind} name {re.escape(MUST)}"):
            load(str(path))


@pytest.mark.parametrize("stem", ["..", "a b", "x" * 65, "-x", "a\nb"])
def test_recipes(stem: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.yaml"
    path.write_text(RECIPE)
    with pytest.raises(SpecError, match=f"^Recipe name {re.escape(MUST)}"):
        chosen_recipe(path)


def test_files_of_the_demo_stay_in_its_folder(tmp_path: Path) -> None:
    """An engine that is given as a file is written by its name, not beside its file."""
    from reports.studies.demo import DemoRequest, verilog_orders

    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_engine("tiny").to_dict() | {"name": "own"}))
    (order,) = verilog_orders(DemoRequest(verilog=(str(path),)), tmp_path / "demo")
    assert order.output == tmp_path / "demo" / "verilog" / "own"


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_outputs_that_have_no_name(
    output: str, made: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    code, out, err = command("compress", made / "hf", "--recipe", made / "recipe.yaml", "-o", output)
    assert (code, out) == (2, "")
    assert err.startswith("Output folder must ") and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "b"]
