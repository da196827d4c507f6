"""Which board an engine is packaged for."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import lamforge
import lamforge.flow.rtl
import lamforge.flow.synth
from hwsim.arch.board import load_board
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import SpecError
from lamforge.flow.rtl import board_for
from reports.documents.circuit import verilog_document
from reports.text.circuit import verilog_text
from rtl.synthesis import Timing


def test_an_engine_with_a_boards_memory_has_that_board() -> None:
    boards = {name: board_for(load_engine(name)) for name in ("tiny", "small", "u280", "u55c")}
    assert {name: board and board.name for name, board in boards.items()} == {
        "tiny": None,
        "small": None,
        "u280": "u280",
        "u55c": "u55c",
    }
    larger = load_engine("u280").with_values({"name": "mine", "channel_bytes": 1 << 29})
    assert board_for(larger).name == "u55c"
    assert board_for(load_engine("small"), "u280").name == "u280"


def test_where_several_boards_have_the_memory_the_name_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamforge.flow.rtl, "board_names", lambda: ["u50", "u280"])
    monkeypatch.setattr(lamforge.flow.rtl, "load_board", lambda name: named(name))
    assert board_for(load_engine("u280")).name == "u280"
    mine = load_engine("u280").with_values({"name": "mine"})
    with pytest.raises(SpecError, match="Board must be named for engine mine, whose memory is that of u50, u280"):
        board_for(mine)


def named(name: str):
    """Return the board of the U280 under another name."""
    return dataclasses.replace(load_board("u280"), name=name)


def test_a_package_tells_depth_and_fan_out_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def timing(config: EngineConfig, cache: Path, progress: Callable[[float], None]) -> Timing:
        asked.append((config.name, cache))
        return Timing(clock_hz=config.clock_hz, part="some part", units={}, paths=(), nets=(), reset_data_loads=0)

    monkeypatch.setattr(lamforge.flow.synth, "timing", timing)
    plain = lamforge.rtl("tiny", output=tmp_path / "plain", board="u280")
    assert (asked, plain.fit.synthesis.timing) == ([], None)
    timed = lamforge.rtl("tiny", output=tmp_path / "timed", board="u280", is_timed=True, cache=tmp_path / "cache")
    assert asked == [("tiny", tmp_path / "cache")]
    assert verilog_document(timed)["fit"]["timing"]["part"] == "some part"
    assert "\nTiming at 200 MHz, some part: within the bars." in verilog_text(timed)
    texts = [(tmp_path / name / "vitis" / "README.md").read_text() for name in ("plain", "timed")]
    assert ["## Depth and fan-out" in text for text in texts] == [False, True]
