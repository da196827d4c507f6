"""The import direction of the rooms, as pyproject.toml declares it; the machine that checks it can fail."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_rooms_import_only_what_they_may() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    """The same contracts on a copy of the rooms' names, in which the compiler reads the simulator."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for room in settings["root_packages"]:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    for inner in ("hwsim/machine", "hwsim/host", "hwsim/arch", "lamforge/cli", "lamforge/flow"):
        (tmp_path / inner).mkdir()
        (tmp_path / inner / "__init__.py").touch()
    for module in ("compiled.py", "errors.py", "nearest.py", "plain.py", "reader.py", "sourced.py", "units.py", "whole_files.py"):
        (tmp_path / "hwsim" / module).touch()
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text[text.index("[tool.importlinter]") :])
    assert lint(tmp_path).returncode == 0
    (tmp_path / "compiler" / "peek.py").write_text("import hwsim.machine\n")
    broken = lint(tmp_path)
    assert broken.returncode != 0
    assert "compiler.peek -> hwsim.machine" in broken.stdout
