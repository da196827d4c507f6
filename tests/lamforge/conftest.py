"""A tiny model, compressed and compiled once, for the tests of the subcommands."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lamforge.cli.main import main
from tests.reports.tiny_folder import TEXT, write_checkpoint, write_recipe

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command and returns (exit code, standard output, standard error)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def run_main(arguments: Sequence[str]) -> int:
    """Return the exit code of the command."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    code = stop.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoint `hf`, compressed `model`, its `programs` for `tiny`, `recipe.yaml` and `text.txt`."""
    folder = tmp_path_factory.mktemp("made")
    write_checkpoint(folder / "hf")
    write_recipe(folder / "recipe.yaml")
    (folder / "text.txt").write_text(TEXT)
    model, programs = str(folder / "model"), str(folder / "programs")
    assert run_main(["compress", str(folder / "hf"), "--recipe", str(folder / "recipe.yaml"), "-o", model]) == 0
    assert run_main(["compile", model, "--engine", "tiny", "-o", programs]) == 0
    return folder


@pytest.fixture
def programs(made: Path, tmp_path: Path) -> Path:
    """A copy of the programs that a test may damage."""
    return Path(shutil.copytree(made / "programs", tmp_path / "programs"))
