"""House rules that no linter knows: what every tracked Python file starts with, exports, and never contains."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = 800
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|pylint|pyright|mypy:|ruff:|fmt:|isort:|nosec)", re.I)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

OF_THE_PROGRAM = {"ValueError", "TypeError", "AttributeError", "KeyError", "RuntimeError", "AssertionError"}
"""Exceptions that no user sees."""


def tracked_files() -> list[Path]:
    """Return the Python files git tracks; in an unpacked archive, those outside hidden and build folders."""
    try:
        command = ["git", "ls-files", "-z", "*.py"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names = [Path(name) for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
        names = [name for name in found if not name.parts[0].startswith((".", "build"))]
    return sorted(name for name in names if (ROOT / name).is_file())


FILES = tracked_files()


def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), str(path))


def public_names(module: ast.Module) -> set[str]:
    """Return the public classes, functions and constants a module defines."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def exports(module: ast.Module) -> list[str] | None:
    """Return the strings of `__all__`, or None where there is none."""
    for node in module.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant)]
    return None


def test_there_are_files() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=str)
def test_starts_with_a_docstring(path: Path) -> None:
    first_line = (ROOT / path).read_text().partition("\n")[0]
    assert first_line.lstrip("rR").startswith('"""'), f"{path} must start with a docstring, not {first_line!r}"
    docstring = ast.get_docstring(parse(path)) or ""
    assert docstring.strip(), f"{path} must say what it knows"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] != "tests"], ids=str)
def test_public_names_are_exported(path: Path) -> None:
    module = parse(path)
    if path.name in ("__init__.py", "__main__.py") or not public_names(module):
        return
    assert exports(module) is not None, f"{path} must have __all__ for {', '.join(sorted(public_names(module)))}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_is_short_and_finished(path: Path) -> None:
    lines = (ROOT / path).read_text().splitlines()
    assert len(lines) < LINES, f"{path} must have fewer than {LINES} lines, not {len(lines)}"
    if path == Path(__file__).relative_to(ROOT):
        return
    for number, line in enumerate(lines, start=1):
        assert not SUPPRESSION.search(line), f"{path}:{number} must not suppress a check inline: {line.strip()}"
        assert not UNFINISHED.search(line), f"{path}:{number} must not leave work for later: {line.strip()}"


def values_in_full(module: ast.Module) -> list[int]:
    """Return the lines of refusals that show a value by `!r`, however long it is, instead of by `hwsim.errors.shown`."""
    raised = [node.exc for node in ast.walk(module) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    refused = [call for call in raised if ast.unparse(call.func) not in OF_THE_PROGRAM]
    parts = [part for call in refused for part in ast.walk(call) if isinstance(part, ast.FormattedValue)]
    return [part.lineno for part in parts if part.conversion == ord("r")]


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] != "tests"], ids=str)
def test_refusals_show_values_cut(path: Path) -> None:
    assert values_in_full(parse(path)) == []


def test_the_rules_can_fail() -> None:
    assert SUPPRESSION.search("x = 1  # " + "noqa: F401")
    assert SUPPRESSION.search("x = 1  # type:" + " ignore[arg-type]")
    assert exports(ast.parse("__all__ = ['a']\na = 1")) == ["a"]
    assert exports(ast.parse("a = 1")) is None
    assert public_names(ast.parse("A: int = 1\ndef f(): ...\nclass _C: ...")) == {"A", "f"}
    assert values_in_full(ast.parse("raise SpecError(f'{a!r} {b}')\nraise ValueError(f'{c!r}')")) == [1]
