"""Seeds of the tests: one number for a whole run, printed in its header; every test gets its own generator from it."""

import gc
import os
import random
import signal
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Test processes share the cores: one compute thread each. Read when torch and numba are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")

# The same examples every time; a first call may compile for seconds, so there is no deadline.
settings.register_profile("lamforge", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("lamforge")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="seed of every random generator of the tests (default 0)")


ROOT = Path(__file__).parents[1]
_FIRST = ("test_notebook.py", "test_python_page.py", "test_docs.py")
"""Files with the longest tests that nothing is shared with: they begin first, so that no process works on alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests in front."""
    place = {name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def pytest_configure(config: pytest.Config) -> None:
    """Have the commands that tests start hear of a hang-up where the tests, begun by nohup, do not: a handler is not inherited."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage more rarely, and not among what is loaded: circuits are made of millions of objects, none of it garbage."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.getoption('--seed')} (repeat or vary with --seed N)"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of this test's own, from the run's seed and the test's name; shown when the test fails."""
    value = zlib.crc32(f"{request.config.getoption('--seed')}:{request.node.nodeid}".encode())
    print(f"seed of this test: {value}")
    return value


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A NumPy generator with the seed of this test."""
    return np.random.default_rng(seed)


@pytest.fixture
def altered_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the Verilog of engines of circuits as this test alters them, instead of looking for what was kept of the sources."""
    monkeypatch.setattr("rtl.kept.place", lambda: None)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    """An empty folder to work in, but for the simulations that tests of this checkout have built."""
    simulations = ROOT / "build" / "verilator"
    simulations.mkdir(parents=True, exist_ok=True)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "verilator").symlink_to(simulations)
    return tmp_path


@pytest.fixture(autouse=True)
def _global_generators(request: pytest.FixtureRequest) -> None:
    """Seed the global generators too, for code under test that draws from them."""
    value = int(request.config.getoption("--seed"))
    random.seed(value)
    np.random.seed(value)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(value)
