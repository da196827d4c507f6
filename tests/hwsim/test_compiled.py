"""Compiled functions: found again between processes, compiled again when anything they call changes, right without a store."""

import ast
import importlib
import inspect
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from hwsim.compiled import _Material

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


def ran(tree: Path, limit: Callable[[], None] | None = None, script: str = SCRIPT, **variables: str) -> tuple[str, str]:
    """Return what a new process prints: the function's value and how often its code was found; and its complaints."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", script],
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
    """Nor is code run that an older process, which runs what the sources were, writes after a newer one has written its own."""
    assert ran(tree) == ("2 0", "")
    older = {path: path.read_bytes() for path in (tree / "kept").rglob("caller*.nbc")}
    (tree / "models" / "amount.py").write_text("AMOUNT = 5\n")
    assert ran(tree) == ("6 0", "")
    assert older
    assert not any(path.exists() for path in older)
    for path, content in older.items():
        path.write_bytes(content)
    assert ran(tree) == ("6 1", "")


EVERY_WAY = """
import models.ways.two
import models.ways.three as three
from hwsim.compiled import compiled
from models.ways import four
from models.ways.one import value
from . import five
from .six import value as sixth
from models.tables import READ, TABLE, inner, pair

seventh = inner()
named = pair()

@compiled
def by_name(x):
    return value(x)

@compiled
def by_dots(x):
    return models.ways.two.value(x)

@compiled
def by_another_name(x):
    return three.value(x)

@compiled
def by_module(x):
    return four.value(x)

@compiled
def by_relative_module(x):
    return five.value(x)

@compiled
def by_relative_name(x):
    return sixth(x)

@compiled
def by_data(x):
    return x + READ

@compiled
def by_table(x):
    return x + TABLE[0]

@compiled
def by_closure(x):
    return seventh(x)

@compiled
def by_field(x):
    return x + named.second

ALL = (by_name, by_dots, by_another_name, by_module, by_relative_module, by_relative_name, by_data, by_table, by_closure, by_field)
"""
TABLES = """
import collections
from pathlib import Path
import numpy as np
from hwsim.compiled import compiled

READ = int((Path(__file__).parent / "amount.txt").read_text())

def table():
    from models.ways.amount import AMOUNT
    return np.array([AMOUNT])

TABLE = table()

def inner():
    from models.ways.amount import AMOUNT

    @compiled
    def added(x):
        return x + AMOUNT

    return added

def pair():
    return collections.namedtuple("Pair", ("second",))(READ)
"""


def test_a_change_is_seen_however_the_callee_is_named_and_wherever_a_number_is_from(tree: Path) -> None:
    ways = tree / "models" / "ways"
    ways.mkdir()
    (ways / "__init__.py").write_text("")
    for name in ("one", "two", "three", "four", "five", "six"):
        (ways / f"{name}.py").write_text(CALLEE.replace("added", "value").replace("models.amount", "models.ways.amount"))
    (ways / "all.py").write_text(EVERY_WAY)
    (tree / "models" / "tables.py").write_text(TABLES)
    for amount in (1, 5):
        (ways / "amount.py").write_text(f"AMOUNT = {amount}\n")
        (tree / "models" / "amount.txt").write_text(str(amount))
        assert ran(tree, script="from models.ways.all import ALL; print(*(f(1) for f in ALL))")[0].split() == [str(1 + amount)] * 10


ROUNDED = """
import numpy as np
from models.integer.kernels import scale_rows
one, out = np.array([1 << 15]), np.zeros((1, 1), np.int64)
scale_rows(np.array([[-3]], np.int32), one, one * 0 - 17, one, one * 0 - 30, 0, out)
print(out[0, 0], sum(scale_rows.stats.cache_hits.values()))
"""
LOADED = """
from hwsim.arch.config import load_engine
from hwsim.machine.time.network import _loaded
from hwsim.memory.models import IDEAL
print(_loaded(IDEAL.channels(load_engine("tiny")), 1, 5), sum(_loaded.stats.cache_hits.values()))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the rooms with compiled functions, of whose packages the integer model imports nothing."""
    for room in ("hwsim", "models"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "*.xz", "*.part", "*.csv"))
    (tmp_path / "models" / "integer" / "__init__.py").write_text("")
    return tmp_path


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_kernels_of_the_integer_model_follow_its_rounding(copy: Path) -> None:
    """A half of -1.5 is rounded up to -1; without what rounds it is -2."""
    assert ran(copy, script=ROUNDED)[0] == "-1 0"
    changed(copy / "models/integer/scalar.py", "return (x + ((1 << shift) >> 1)) >> shift", "return x >> shift")
    assert ran(copy, script=ROUNDED)[0] == "-2 0"


@pytest.mark.long
def test_the_time_network_follows_the_laws_of_its_memories(copy: Path) -> None:
    before, hits = ran(copy, script=LOADED)[0].split()
    changed(copy / "hwsim/machine/time/ports.py", "beat = max(beat, accept + READ_LATENCY - 1)", "beat = max(beat, accept)")
    after, again = ran(copy, script=LOADED)[0].split()
    assert int(after) < int(before)
    assert hits == again == "0"


COMPILING = [
    path for room in ("hwsim", "models") for path in (ROOT / room).rglob("*.py") if "hwsim.compiled import" in path.read_text()
]


def compiled_functions() -> Iterator[FunctionType]:
    """Yield the Python function of every compiled one."""
    for path in sorted(COMPILING):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for value in vars(module).values():
            if hasattr(value, "py_func") and value.py_func.__module__ == module.__name__:
                yield value.py_func


def globals_of(function: FunctionType) -> set[tuple[ModuleType, str]]:
    """Return the modules and names of the global values that a function's syntax tree has, annotations left out."""
    module, places = sys.modules[function.__module__], set()
    (definition,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(definition, ast.FunctionDef)
    for node in (inner for statement in definition.body for inner in ast.walk(statement)):
        if isinstance(node, ast.Name) and hasattr(module, node.id):
            places.add((module, node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            inner: Any = getattr(module, node.value.id, None)
            if isinstance(inner, ModuleType) and inner.__name__.split(".")[0] in ("hwsim", "models"):
                places.add((inner, node.attr))
    return places


def test_whatever_a_compiled_function_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value under any global name of any compiled function gives it another digest."""
    count = 0
    for function in compiled_functions():
        digest = _Material().digest(function)
        for module, name in globals_of(function):
            with monkeypatch.context() as patched:
                patched.setattr(module, name, "another value")
                assert _Material().digest(function) != digest, (function.__qualname__, name)
            count += 1
        assert _Material().digest(function) == digest
    assert count > 300


def test_what_a_called_function_does_counts_at_any_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.machine.time.network import _advance
    from hwsim.memory.models import gap

    digest = _Material().digest(_advance.py_func)
    code = gap.py_func.__code__
    monkeypatch.setattr(gap.py_func, "__code__", code.replace(co_code=code.co_code[:-2] + b"\0\0"))
    assert _Material().digest(_advance.py_func) != digest


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


def test_one_file_knows_numba() -> None:
    paths = [
        path
        for room in ("hwsim", "models", "compiler", "rtl", "testbenches", "reports", "lamforge")
        for path in (ROOT / room).rglob("*.py")
    ]
    assert len(paths) > 100
    assert [str(path.relative_to(ROOT)) for path in paths if "import numba" in path.read_text()] == ["hwsim/compiled.py"]
