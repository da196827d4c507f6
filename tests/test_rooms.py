"""The import direction of the rooms, as pyproject.toml declares it; the machine that checks it can fail."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from lamforge.cli.commands import app

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
    hwsim = [f"hwsim/{name}" for name in ("machine", "host", "memory", "arch")]
    renderers = [f"reports/{name}" for name in ("text", "pictures", "pages", "documents")]
    for inner in (*hwsim, *renderers, "lamforge/cli", "lamforge/explore", "lamforge/flow"):
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
    (tmp_path / "compiler" / "peek.py").unlink()
    (tmp_path / "reports" / "text" / "sums.py").write_text("import numpy\n")
    assert "reports.text.sums -> numpy" in lint(tmp_path).stdout


LIBRARY = ("hwsim", "models", "compiler", "rtl", "lamforge/flow", "lamforge/explore")


def sentences(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that have a space in them: sentences, not single words for other programs."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


@functools.cache
def flags() -> re.Pattern[str]:
    """Return what finds a long flag of the command in a text."""
    found: set[str] = set()
    commands = [typer.main.get_command(app)]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        found |= {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
    assert {"--workload", "--prompt", "--output"} <= found
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(found, key=len, reverse=True)))})(?![\w-])")


@pytest.mark.parametrize("room", LIBRARY)
def test_the_library_knows_no_flag(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} names {flag.group()}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, text in sentences(ast.parse(path.read_text()))
        if (flag := flags().search(text)) is not None
    ]
    assert found == []


def test_a_flag_is_found() -> None:
    assert flags().search("Context must be given with --context, not left out")
    assert flags().search("give --output FOLDER")
    assert not flags().search("a two-way --exclude=* of git")


EDGES = {
    "lamforge/bare.py": "reads settings where there is no reader of files",
    "lamforge/explore/study.py": "reads files of studies, and says to editors what they may hold",
    "lamforge/flow/distill/train.py": "writes report.json where there is only PyTorch",
    "reports/pages/environment.py": "gives a template its names, each of which it must know",
    "reports/studies/data_files.py": "writes JSON Schemas",
    "reports/studies/gpu_baseline/baseline.py": "reads what a GPU measured where there is only PyTorch",
}
"""Files beside reports/documents at which plain values come in or go out."""
PLAIN = re.compile(r"\b(dict|Dict|Mapping|MutableMapping)\[str, (Any|object)\]")


@pytest.mark.parametrize("room", ("lamforge", "reports"))
def test_results_are_types(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.parent != ROOT / "reports" / "documents" and str(path.relative_to(ROOT)) not in EDGES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if PLAIN.search(line)
    ]
    assert found == []
