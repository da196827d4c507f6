"""Compiled functions: found again between processes, compiled again when anything they call changes, right without a store."""

import ast
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim.compiled import reached_sources

ROOT = Path(__file__).parent.parent.parent
CALLER = """
from hwsim.compiled import compiled
from models.callee import added

@compiled
def run(x):
    return added(x)
"""
CALLEE = """
from hwsim.compiled import compiled
from models.amount import AMOUNT

@compiled
def added(x):
    return x + AMOUNT
"""
SCRIPT = "from models.caller import run; print(run(1), sum(run.stats.cache_hits.values()))"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of three modules: a compiled function, one that it calls, and a number which that one adds."""
    for name in ("hwsim/__init__.py", "hwsim/compiled.py", "models/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "models" / "caller.py").write_text(CALLER)
    (tmp_path / "models" / "callee.py").write_text(CALLEE)
    (tmp_path / "models" / "amount.py").write_text("AMOUNT = 1\n")
    return tmp_path


def ran(tree: Path, limit: Callable[[], None] | None = None, **variables: str) -> tuple[str, str]:
    """Return what a new process prints: the function's value and how often its code was found; and its complaints."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment | {"NUMBA_CACHE_DIR": str(tree / "kept")} | variables,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip(), result.stderr.strip()


def test_a_function_is_compiled_again_when_what_it_calls_changes_and_else_is_not(tree: Path) -> None:
    assert ran(tree) == ("2 0", "")
    (tree / "models" / "amount.py").write_text("AMOUNT = 5\n")
    assert ran(tree) == ("6 0", "")
    assert ran(tree) == ("6 1", "")


def test_without_a_folder_that_can_be_written_functions_still_run(tree: Path) -> None:
    (tree / "models" / "__pycache__").write_text("not a folder")
    printed, complaint = ran(tree, NUMBA_CACHE_DIR="", HOME="/dev/null", XDG_CACHE_HOME="/dev/null")
    assert printed == "2 0"
    assert complaint == (
        "Compiled functions cannot be kept, so that each command compiles them again:"
        " set NUMBA_CACHE_DIR to a folder that can be written"
    )


def test_a_full_disk_does_not_stop_a_function(tree: Path) -> None:
    printed, complaint = ran(tree, limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert printed == "2 0"
    assert complaint.startswith("Compiled functions cannot be kept")


def test_every_import_between_the_rooms_is_followed() -> None:
    for path in [*(ROOT / "hwsim").rglob("*.py"), *(ROOT / "models").rglob("*.py")]:
        reached = set(reached_sources(path))
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                modules = [name if file_of(name) else str(node.module) for name in inner]
            assert {file for file in map(file_of, modules) if file} <= reached, path


def file_of(module: str) -> Path | None:
    """Return the file of a module of `hwsim` or `models`, None for other names."""
    place = ROOT.joinpath(*module.split("."))
    files = [place.with_suffix(".py"), place / "__init__.py"] if module.split(".")[0] in ("hwsim", "models") else []
    return next((file for file in files if file.is_file()), None)


def test_one_file_knows_numba() -> None:
    paths = [
        path
        for room in ("hwsim", "models", "compiler", "rtl", "testbenches", "reports", "lamforge")
        for path in (ROOT / room).rglob("*.py")
    ]
    assert len(paths) > 100
    assert [str(path.relative_to(ROOT)) for path in paths if "import numba" in path.read_text()] == ["hwsim/compiled.py"]
