"""Where Verilator builds and lints: folders with any path, and sentences where it cannot work, before anything is written."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hwsim.arch.config import load_engine
from hwsim.errors import MachineError
from testbenches import verilator
from testbenches.verilator import Build, buildable, lint
from tests.processes import check_ends

ODD = "a b$HOME#'\""


def test_a_folder_with_a_plain_path_is_built_in(tmp_path: Path) -> None:
    with buildable(tmp_path / "josé-1") as place:
        assert place == tmp_path / "josé-1"
        assert place.is_dir()


@pytest.mark.parametrize("name", ["a b", "$", "#", "'", '"', "%", ":", "new\nline"])
def test_a_folder_with_an_odd_path_is_filled_from_a_plain_one(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with buildable(folder) as place:
        assert place != folder
        (place / "inner").mkdir()
        (place / "inner" / "Vtop").write_text("built")
    assert (folder / "inner" / "Vtop").read_text() == "built"
    assert not place.exists()


@pytest.mark.parametrize(("kept", "missing"), [((), "g++, make, perl"), (("g++", "perl"), "make")])
def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...], missing: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in kept:
        (tools / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MachineError) as refused, buildable(tmp_path / "build"):
        pass
    assert str(refused.value) == f"Verilator needs g++, make, perl on PATH, of which {missing} cannot be found"
    assert not (tmp_path / "build").exists()
    if not kept:
        with pytest.raises(MachineError, match="Verilator needs perl on PATH, of which perl cannot be found"):
            lint(tmp_path)


def test_temporary_files_in_an_odd_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t t"))
    text = r"Temporary files \(TMPDIR\) must lie where make can build, at a path without ' ', not at '.*t t'"
    with pytest.raises(MachineError, match=text), buildable(tmp_path / "a b"):
        pass
    assert not (tmp_path / "a b").exists()


def test_lint_works_in_a_folder_with_an_odd_path(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "engine.v").write_text("module engine(input wire i, output wire o);\n  assign o = i;\nendmodule\n")
    assert lint(folder) == ""
    (folder / "engine.v").write_text("module engine;\n  wire left;\nendmodule\n")
    assert f"{folder}/engine.v" in lint(folder)


def test_what_a_run_left_goes_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it goes on: what failed is kept until then, and a run that was killed leaves nothing for good."""
    monkeypatch.setattr(verilator, "generate", lambda _: {})
    build = Build(load_engine("tiny"), top="bench", bench={}, folder=tmp_path, optimize="")
    build.folder.mkdir()
    (build.folder / "done").touch()
    with pytest.raises(MachineError), build.run_folder() as failed:
        (failed / "run.log").write_text("why")
        raise MachineError("The bench must run")
    assert (failed / "run.log").read_text() == "why"
    (build.folder / "run-killed").mkdir()
    (build.folder / "run-killed" / ".lock").touch()
    with build.run_folder() as first, build.run_folder() as second, build.run_folder("host-"):
        assert {path.name for path in build.folder.glob("run-*")} == {first.name, second.name}
    assert {path.name for path in build.folder.iterdir()} == {"done"}


SCRIPT = "import subprocess; subprocess.run(['sh', '-c', 'echo $$ > {number}.part; mv {number}.part {number}; exec sleep 60'])"
PARENT = """
import sys
from pathlib import Path
from hwsim.arch.config import load_engine
from testbenches import verilator

verilator.generate = lambda _: {}
folder = Path(sys.argv[1])
build = verilator.Build(load_engine("tiny"), top="bench", bench={}, folder=folder, optimize="")
build._python(sys.argv[2], folder, folder / "log", "It must run")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_started_ends_with_the_command(tmp_path: Path, number: int) -> None:
    told = tmp_path / "number"
    script = SCRIPT.format(number=told)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PARENT, str(tmp_path), script]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL) as parent:
        until = time.monotonic() + 30
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.01)
        parent.send_signal(number)
        parent.wait()
    check_ends(int(told.read_text()))


def test_a_build_that_was_killed_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilator, "generate", lambda _: {})
    build = Build(load_engine("tiny"), top="bench", bench={}, folder=tmp_path, optimize="")
    build.folder.mkdir()
    (build.folder / "half.o").touch()
    monkeypatch.setattr(build, "_python", lambda *_: None)
    build.make()
    assert {path.name for path in build.folder.iterdir()} == {"apart.vlt", "done"}
