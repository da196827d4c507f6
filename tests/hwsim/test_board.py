"""Boards load with every number's source, and what is wrong in a file is said in a sentence."""

import copy
from importlib import resources

import pytest
import yaml

from hwsim.arch.board import RESOURCES, board_names, load_board
from hwsim.errors import SpecError


def text(name: str) -> dict:
    return yaml.safe_load((resources.files("hwsim.specs") / "boards" / f"{name}.yaml").read_text())


def test_shipped_boards_load() -> None:
    assert board_names() == ["u280", "u55c"]
    for name in board_names():
        board = load_board(name)
        assert board.name == name
        assert board.hbm.value.pseudo_channels * board.hbm.value.channel_bytes_per_s == 460e9
        for resource in RESOURCES:
            assert 0 < board.free(resource) <= board.device.value.count(resource)
            assert 0 < board.limit(resource) < board.device.value.count(resource)


def test_the_u280_has_its_figures() -> None:
    board = load_board("u280")
    assert [board.device.value.count(resource) for resource in RESOURCES] == [1_303_680, 2_607_360, 2_016, 960, 9_024]
    assert [board.limit(resource) for resource in RESOURCES] == [912_576, 1_303_680, 1_612, 768, 7_219]
    assert board.free("dsp") == 8490


WORD = "a word of at most 100 letters, digits, '_', '.' and '-'"
LINE = "a line of at most 80 letters, digits, spaces and ( ) . , + -"
MISTAKES = {
    "Board device.value.lut must be an integer of at least 0, not 'many'": lambda data: data["device"]["value"].update(lut="many"),
    "Board must have the field 'hbm'": lambda data: data.pop("hbm"),
    "Board field must be one of its own such as 'slrs', not 'slr'": lambda data: data.update(slr=1),
    "Board slrs.value must be a list, not []": lambda data: data["slrs"].update(value=[]),
    "Board slrs.value[0] must have the field 'dsp'": lambda data: data["slrs"]["value"][0].pop("dsp"),
    "Board slrs.value[1] field must be one of its own such as 'lut', not 'luts'": lambda data: data["slrs"]["value"][1].update(
        luts=1
    ),
    "Board hbm.source must be text that says where the number comes from, not ''": lambda data: data["hbm"].update(source=""),
    "Board u280 hbm.slr must be one of its SLRs, not 'SLR7'": lambda data: data["hbm"]["value"].update(slr="SLR7"),
    "Board u280 slrs must have at most the dsp of the device, not more": lambda data: data["slrs"]["value"][0].update(dsp=9000),
    "Board hbm.kind must be one of assumed, datasheet, derived, measured, paper, simulator, tool, not 'hearsay'": lambda data: data[
        "hbm"
    ].update(kind="hearsay"),
    "Board hbm.value must be a mapping of fields, not 3": lambda data: data["hbm"].update(value=3),
    "Board part must be a mapping of value, kind and source, not 'x'": lambda data: data.update(part="x"),
    f"Board part.value must be {WORD}, not 'x; rm y'": lambda data: data["part"].update(value="x; rm y"),
    f"Board shells.value[0] must be {WORD}, not '$(id)'": lambda data: data["shells"].update(value=["$(id)"]),
    f"Board title must be {LINE}, not 'a\\nb'": lambda data: data.update(title="a\nb"),
    "Board u280 memory must be that of its 32 channels, not Bytes(16000000000.0)": lambda data: data["memory"].update(
        value="16 GB"
    ),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_mistake_is_a_sentence(sentence, tmp_path) -> None:
    data = copy.deepcopy(text("u280"))
    MISTAKES[sentence](data)
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(SpecError) as error:
        load_board(str(path))
    assert str(error.value) == sentence


def test_unknown_boards_are_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match=r"^Board must be one of u280, u55c or a YAML file, not 'u28' \(nearest: u280\)$"):
        load_board("u28")
    with pytest.raises(SpecError, match=r"^Board file must be readable, not '/nowhere\.yaml'"):
        load_board("/nowhere.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(SpecError, match=r"^Board file must be YAML, not the text of "):
        load_board(str(path))
