"""Which board an engine is packaged for."""

import dataclasses

import pytest

import lamforge.flow.rtl
from hwsim.arch.board import load_board
from hwsim.arch.config import load_engine
from hwsim.errors import SpecError
from lamforge.flow.rtl import board_for


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
