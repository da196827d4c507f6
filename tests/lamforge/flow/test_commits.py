"""A command from two commits of a small repository: what it finds, what is refused, and that nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from lamforge.flow.commits import ROOT, ran
from tests.lamforge.conftest import Command
from tests.lamforge.explore.small import explored_study

MAIN = """
import json, os, shutil, sys, time
words = sys.argv[1:]
if "fail" in words:
    sys.exit("Engine must be small, not large")
if "sleep" in words:
    open(words[1], "w").close()
    time.sleep(60)
if "wrong" in words:
    print(json.dumps({"is_equal": False}))
    sys.exit(1)
if "explore" in words:
    shutil.copytree(words[1], words[words.index("-o") + 1])
elif "-o" in words:
    open(words[words.index("-o") + 1], "w").write("written")
print(json.dumps({"cycles": CYCLES, "words": words, "here": os.getcwd()}))
"""


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for everything temporary."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    return found


@pytest.fixture
def root(tmp_path: Path, place: Path) -> Path:
    """A repository with two commits of a command that takes 3 and 4 cycles, and 5 in the sources as they are."""
    found = tmp_path / "sources"
    (found / "lamforge").mkdir(parents=True)
    (found / "lamforge" / "__init__.py").touch()
    git(found, "init", "-q")
    for cycles in (3, 4, 5):
        (found / "lamforge" / "__main__.py").write_text(MAIN.replace("CYCLES", str(cycles)))
        if cycles < 5:
            git(found, "add", ".")
            git(found, "commit", "-q", "-m", f"{cycles} cycles")
    return found


def test_each_commit_runs_its_own_sources(root: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sources in the current folder are not those of a commit.
    monkeypatch.chdir(root)
    with ran(["HEAD~1", "HEAD", "."], ["list", "engines"], root=root) as found:
        documents = [json.loads(each.document.read_text()) for each in found]
        assert [each["cycles"] for each in documents] == [3, 4, 5]
        assert all(each["words"] == ["list", "engines", "--json"] and each["here"] == str(root) for each in documents)
        assert [each.name.partition(" (")[0] for each in found] == ["HEAD~1", "HEAD", "the sources as they are"]
        assert [each.output for each in found] == [None] * 3
        assert len([*place.iterdir()]) == 1
    assert [*place.iterdir()] == []
    status = subprocess.run(["git", "status", "--short"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert [line for line in status.splitlines() if "__pycache__" not in line] == [" M lamforge/__main__.py"]


@pytest.mark.parametrize("told", [["-o", "kept"], ["--output", "kept"], ["--output=kept"], ["-okept"]])
def test_what_is_written_goes_aside(told: list[str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ran(["HEAD~1", "HEAD"], ["rtl", *told], root=root) as found:
        outputs = [each.output for each in found]
        assert None not in outputs and len({*outputs}) == 2
        for each in found:
            words = " ".join(json.loads(each.document.read_text())["words"])
            assert str(each.output) in words and "kept" not in words
    assert not (tmp_path / "kept").exists()


def test_a_verdict_that_is_wrong_is_a_result(root: Path) -> None:
    with ran(["HEAD", "."], ["cosim", "wrong"], root=root) as found:
        assert [json.loads(each.document.read_text()) for each in found] == [{"is_equal": False}] * 2


@pytest.mark.parametrize(
    ("revisions", "command", "sentence"),
    [
        (["HEAD", "none"], ["list"], "Commit must be one of the repository in '{root}', not 'none'"),
        (["--all", "HEAD"], ["list"], "Commit must be one of the repository in '{root}', not '--all'"),
        (["", "HEAD"], ["list"], "Commit must be one of the repository in '{root}', not ''"),
        (
            ["HEAD", "HEAD"],
            ["list", "fail"],
            "Command must succeed from HEAD ({head}), not end with: Engine must be small, not large",
        ),
        ([".", "."], ["fail"], "Command must succeed from the sources as they are, not end with: Engine must be small, not large"),
    ],
)
def test_refusals(revisions: list[str], command: list[str], sentence: str, root: Path, place: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout[:12]
    with pytest.raises(SpecError) as refusal, ran(revisions, command, root=root):
        pass
    assert str(refusal.value) == sentence.format(root=root, head=head)
    assert [*place.iterdir()] == []


def test_commits_without_the_command_are_refused(root: Path, place: Path) -> None:
    git(root, "rm", "-q", "-f", "lamforge/__main__.py")
    git(root, "commit", "-q", "-m", "none")
    with pytest.raises(SpecError, match="^Commit must hold the command lamforge, not be HEAD "), ran(["HEAD"], ["list"], root=root):
        pass
    assert [*place.iterdir()] == []


def test_sources_without_a_repository_are_refused(root: Path, tmp_path: Path) -> None:
    inner = root / "lamforge"
    for each in (inner, tmp_path):
        with (
            pytest.raises(SpecError, match="^Sources must be a Git repository to compare commits, not "),
            ran(["HEAD"], [], root=each),
        ):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_it_is_stopped(number: signal.Signals, root: Path, place: Path, tmp_path: Path) -> None:
    code = (
        f"import tempfile; tempfile.tempdir = {str(place)!r}\n"
        "from pathlib import Path\nfrom lamforge.flow.commits import ran\n"
        f"with ran(['HEAD', '.'], ['sleep', {str(tmp_path / 'begun')!r}], root=Path({str(root)!r})): pass"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len([*place.iterdir()]) == 1
        process.send_signal(number)
        process.communicate()
    assert process.returncode != 0
    assert [*place.iterdir()] == []


def test_of_explore_the_folders_are_compared(
    root: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr("lamforge.flow.commits.ROOT", root)
    folder = explored_study(tmp_path).folder
    code, out, err = command("compare", "HEAD", ".", "--", "explore", folder, "-o", tmp_path / "kept")
    assert code == 0, err
    assert out.startswith("Nothing changed of ") and ": the best token_per_s is " in out
    assert "A: HEAD (" in out and "B: the sources as they are, study small, 12 points" in out
    assert [*place.iterdir()] == [] and not (tmp_path / "kept").exists()


def test_two_commits_of_lamforge(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """The real sources, with one number of a device changed between two commits."""
    root = tmp_path / "lamforge-sources"
    kinds = ("*.py", "*.yaml", "*.json")
    for room in ("hwsim", "models", "compiler", "lamforge", "reports"):
        for file in (file for kind in kinds for file in (ROOT / room).rglob(kind)):
            (root / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            (root / file.relative_to(ROOT)).write_bytes(file.read_bytes())
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "before")
    gpu = root / "hwsim/specs/devices/gpus/a100-sxm-80.yaml"
    text = gpu.read_text()
    gpu.write_text(text.replace("2039 GB/s", "1039 GB/s", 1))
    assert gpu.read_text() != text
    monkeypatch.setattr("lamforge.flow.commits.ROOT", root)
    code, out, err = command("compare", "HEAD", ".", "--exit-code", "--", "offload", "run", "gpu-a100")
    assert code == 1, err
    assert out.startswith("B is ") and "slower: tokens_per_s " in out.splitlines()[0]
    assert [*place.iterdir()] == []
