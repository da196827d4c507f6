"""Work in another process: its value, its refusal, its end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwsim.errors import ConfigError, MachineError
from lamforge.flow.engines import chosen_engine
from reports.studies.beside import Beside
from tests.processes import check_ends


def test_a_value_comes_back() -> None:
    work = Beside(chosen_engine, "tiny", {"tile.tokens": 3})
    assert work.result() == chosen_engine("tiny", {"tile.tokens": 3})


def test_a_refusal_comes_back() -> None:
    with pytest.raises(ConfigError, match="Engine tile.tokens must be an integer from 1 to 7, not 9"):
        Beside(chosen_engine, "tiny", {"tile.tokens": 9}).result()


def test_an_end_without_answer_is_named() -> None:
    with pytest.raises(MachineError, match=r"Work beside \(_exit\) must answer, not end with code 7"):
        Beside(os._exit, 7).result()


PARENT = """
import os, sys, time
from pathlib import Path
from reports.studies.beside import Beside
from tests.reports.test_beside import sleep

if __name__ == "__main__":
    Beside(sleep, sys.argv[1])
    while not Path(sys.argv[1]).exists():
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
"""


def sleep(path: str) -> None:
    Path(f"{path}.part").write_text(str(os.getpid()))
    os.replace(f"{path}.part", path)
    time.sleep(60)


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    root = Path(__file__).parents[2]
    command = [sys.executable, tmp_path / "parent.py", tmp_path / "number"]
    assert subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=False).returncode == -9
    check_ends(int((tmp_path / "number").read_text()))
