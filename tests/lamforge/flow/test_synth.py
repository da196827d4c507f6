"""The spread of an engine over a board's SLRs holds all of it, and the text says what is over the budget."""

import dataclasses
import math
from pathlib import Path

import lamforge
from hwsim.arch.board import RESOURCES, load_board
from hwsim.arch.config import load_engine
from lamforge.flow.synth import Ranking, Synthesis, spread_over_slrs
from reports.documents.circuit import synthesis_document
from reports.text.circuit import synthesis_text
from rtl.synthesis import Estimate, Part

NOTHING = dict.fromkeys(RESOURCES, 0.0)


def test_an_slr_that_has_none_of_a_resource_is_told(tmp_path: Path) -> None:
    slrs = load_board("u280").slrs.value
    without = dataclasses.replace(load_board("u280").slrs, value=(*slrs[:2], dataclasses.replace(slrs[2], uram=0)))
    found = lamforge.synth(engine="u280", board=dataclasses.replace(load_board("u280"), slrs=without), is_quick=True)
    document = synthesis_document(found)
    assert document["slrs"][2]["shares"]["uram"] is None and document["slrs"][2]["shares"]["lut"] > 0
    assert document["crossings"] is None
    assert "none there" in synthesis_text(found)
    assert found.full["uram"] == (
        math.inf if found.slrs[2].used["uram"] else max(slr.used["uram"] / 320 for slr in found.slrs) / 0.8
    )


def test_the_spread_over_slrs_holds_everything() -> None:
    board, engine = load_board("u280"), load_engine("u280")
    tile = Part(unit="matrix", name="slice", count=128, resources=NOTHING | {"dsp": 8000.0, "lut": 80000.0})
    rest = Part(unit="vector", name="own", count=1, resources=NOTHING | {"dsp": 500.0, "uram": 10.0})
    parts = (tile, rest)
    slrs = spread_over_slrs(Estimate(engine="x", parts=parts, tool="none"), engine, board)
    ranking = Ranking(device="a device", mhz=111.3, cells={"TRELLIS_FF": 7.0})
    found = Synthesis(engine=engine, board=board, tool="none", parts=parts, slrs=slrs, ranking=ranking, synthesis_s=1.0)
    assert sum(slr.tiles for slr in slrs) == engine.tile.ports
    # The vector unit lies beside the memory's SLR.
    assert [slr.used["uram"] for slr in slrs] == [0, 10, 0]
    assert {name: sum(slr.used[name] for slr in slrs) for name in RESOURCES} == found.total
    assert found.over == ["dsp"]
    assert "A slice of it, routed on a device: 111 MHz." in synthesis_text(found)
    assert "over the budget in DSP" in synthesis_text(found)
    assert synthesis_document(found)["ranking"] == {"device": "a device", "mhz": 111.3, "TRELLIS_FF": 7.0}
