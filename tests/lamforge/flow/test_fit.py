"""How an engine lies on a board: what the quick model and the netlist say, together, and the most power."""

import dataclasses
from pathlib import Path

import pytest

from hwsim.arch.board import load_board
from hwsim.arch.config import load_engine
from hwsim.errors import SpecError
from lamforge.flow import synth
from lamforge.flow.fit import fit, own_fit
from lamforge.flow.rtl import is_verilog_folder, written_engine
from rtl.verilog import write
from tests.reports.tiny_fit import counted, u280_fit


def test_it_is_the_quick_estimate_with_the_counted_wires() -> None:
    found = u280_fit()
    quick = synth.run(synth.SynthRequest(engine="u280", is_quick=True))
    assert (found.synthesis.parts, found.synthesis.slrs, found.synthesis.tool) == (quick.parts, quick.slrs, quick.tool)
    assert found.wires == counted(load_engine("u280"), slrs=3, memory_slr=0)
    lower, upper = found.synthesis.crossings
    assert (lower.lower, lower.upper, upper.lower, upper.upper) == ("SLR0", "SLR1", "SLR1", "SLR2")
    assert [(each.wires, each.lines, each.limit) for each in (lower, upper)] == [(14_000, 23_040, 13_824), (9_000, 23_040, 13_824)]
    said = found.estimates
    assert (said.parts, said.slrs, said.wires, said.tool) == (quick.parts, quick.slrs, found.wires, quick.tool)
    assert said.fill == {"lut": 0.7, "ff": 0.5, "bram36": 0.8, "uram": 0.8, "dsp": 0.8}


def test_most_power_is_of_everything_at_work_in_every_cycle() -> None:
    found = u280_fit()
    total, constants, clock = found.synthesis.total, found.board.energy, found.engine.clock_hz
    watts = found.most.watts
    per_bit = constants.memory_j_per_bit.value
    # The peak of the memory is less than that of the ports.
    assert found.engine.peak_bytes_per_s > 460e9
    assert watts["memory"] == pytest.approx(8 * 460e9 * per_bit)
    memories = 2 * (total["bram36"] + total["uram"])
    assert watts["on_chip_memory"] == pytest.approx(memories * clock * constants.ram_j_per_access.value)
    assert watts["multipliers"] == pytest.approx(total["dsp"] * clock * constants.multiplier_j_per_operation.value)
    per_lut = constants.lut_j_per_cycle.value + constants.signal_j_per_cycle.value
    assert watts["logic"] == pytest.approx(total["lut"] * clock * per_lut)
    per_register = constants.register_j_per_cycle.value + constants.clock_j_per_register_cycle.value
    assert watts["clock"] == pytest.approx(total["ff"] * clock * per_register)
    assert (found.estimates.most_w, found.estimates.assumed_share) == (watts, found.most.assumed_share)


def test_a_board_without_constants_has_no_power_and_no_lines_no_budget() -> None:
    bare = dataclasses.replace(load_board("u280"), energy=None, slr_lines=None)
    found = fit(load_engine("tiny"), bare)
    assert (found.most, found.estimates.most_w) == (None, None)
    assert [(each.wires, each.lines, each.limit, each.share) for each in found.synthesis.crossings] == [(0, None, None, None)] * 2


@pytest.mark.parametrize(("name", "board"), [("tiny", "u280"), ("u55c", "u55c")])
def test_an_engine_lies_on_the_board_that_it_is_made_for(name: str, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamforge.flow.fit.crossings", counted)
    found = own_fit(load_engine(name))
    assert (found.engine.name, found.board.name) == (name, board)
    assert f"Floorplan of engine {name} on {found.board.title}" in found.picture


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"parameter": {}}'])
def test_a_description_that_cannot_be_read_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text(text)
    told = "Description of the Verilog must be as `lamforge rtl` writes it, not what is in '"
    with pytest.raises(SpecError, match=told):
        written_engine(tmp_path)


def test_the_engine_of_written_verilog_is_the_one_that_was_written(tmp_path: Path) -> None:
    write(load_engine("tiny"), tmp_path)
    assert is_verilog_folder(tmp_path)
    assert written_engine(tmp_path) == load_engine("tiny")
