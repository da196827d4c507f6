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
from rtl.synthesis import Estimate, Part, Timing
from rtl.synthesis.loads import LoadedNet
from rtl.synthesis.timing import TimingPath, UnitTiming

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


def test_what_is_too_deep_or_too_loaded_is_told() -> None:
    board, engine = load_board("u280"), load_engine("u280")
    path = TimingPath(
        unit="mover",
        module="engine.mover",
        start="mover/first[1]",
        end="mover/last:CE",
        levels=7,
        carries=2,
        cells_ns=1.2,
        delay_ns=4.5,
        slack_ns=-0.1,
    )
    net = LoadedNet(driver="mover/enable", copies=2, loads=513, resets=0, is_clock=False)
    reset = dataclasses.replace(net, driver="reset", loads=40_000, resets=39_999)
    timing = Timing(
        clock_hz=225e6,
        part="a grade",
        units={"mover": UnitTiming(levels=7, delay_ns=4.5, slack_ns=-0.1)},
        paths=(path,),
        nets=(reset, net),
        reset_data_loads=1,
    )
    found = Synthesis(
        engine=engine, board=board, tool="none", parts=(), slrs=(), ranking=None, synthesis_s=1.0, timing=timing, is_quick=True
    )
    document = synthesis_document(found)["timing"]
    assert (document["levels"], document["loads"], document["broken_paths"], document["broken_nets"]) == (7, 513, 1, 1)
    assert document["paths"][0]["from"] == "mover/first[1]" and document["paths"][0]["slack_ns"] == -0.1
    assert document["units"] == {"mover": {"levels": 7, "delay_ns": 4.5, "slack_ns": -0.1}}
    text = synthesis_text(found)
    assert "Timing at 225 MHz, a grade: outside the bars. The deepest path goes through 7 look-up tables" in text
    assert "a net but clock and reset has at most 513 loads" in text and "pins of data that a reset drives: 1." in text
    assert "mover/first[1]  mover/last:CE" in text and "mover/enable" in text
    better = dataclasses.replace(timing, units={}, paths=(), nets=(reset,), reset_data_loads=0)
    assert "within the bars" in synthesis_text(dataclasses.replace(found, timing=better))
    assert synthesis_document(dataclasses.replace(found, timing=None))["timing"] is None
