"""The netlists of the units are the units, on random streams and on those of real programs; what is wrong in a netlist is seen."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Format
from hwsim.errors import MachineError
from hwsim.memory.models import IDEAL, stalling
from rtl.matrix.region import tiles_of
from rtl.matrix.slice import Slice
from rtl.synthesis.netlists import hierarchy
from rtl.synthesis.yosys import circuit_modules
from rtl.verilog import generate
from testbenches.cosim import cosim
from testbenches.gate_engine import GatedVerilog, gated, netlists_of, parts_of
from testbenches.gate_faults import complemented, flipped, planted
from testbenches.gate_proof import is_proved_equal
from testbenches.gate_streams import random_stimuli
from testbenches.gate_units import UNITS, GateUnit
from testbenches.gates import Port, clock_of
from tests.random_model import random_model

CYCLES = 1 << 14
QUICK = (("drain", "small"), ("accumulator", "small"), ("stream_port", "small"))
LATER = tuple(
    (name, engine) for engine in ("small", "u280") for name in UNITS if (name, engine) not in (*QUICK, ("region", "u280"))
)
"""An engine with multipliers for all rows and block RAMs, and one with look-up tables for some of them and UltraRAMs."""
IN_REGIONS = ("region", "gather", "lane_tree")
Fault = tuple[str, str, Callable[[str], str]]
FAULTS: dict[str, dict[str, Fault]] = {
    "drain": {"table": ("LUT[2-6]", "INIT", complemented), "reset": ("FDSE", "INIT", flipped(0))},
    "accumulator": {
        "mode": ("DSP48E2", "OPMODE", lambda mode: f"{mode} ^ 9'h080"),
        "stages": ("DSP48E2", "AREG", lambda stages: "1"),
        "product": ("DSP48E2", "MREG", lambda stages: "0"),
    },
    "stream_port": {
        "table": ("LUT[2-6]", "INIT", complemented),
        "collision": ("RAMB36E2", "WRITE_MODE_B", lambda mode: '"WRITE_FIRST"'),
        "width": ("RAMB36E2", "READ_WIDTH_A", lambda width: "36"),
    },
}
"""What is wrong in other netlists of a unit: of a kind of cell, an attribute or a pin."""


def compared(name: str, engine: EngineConfig, faults: dict[str, Fault], seed: int) -> None:
    unit = GateUnit(name, engine)
    netlists = {"mapped": unit.netlist} | {fault: planted(unit.netlist, *change) for fault, change in faults.items()}
    verdicts = unit.compare(netlists, CYCLES, seed)
    assert (verdicts["mapped"].cycles, verdicts["mapped"].first) == (CYCLES, None)
    assert [fault for fault in faults if verdicts[fault].different == 0] == []


@pytest.mark.parametrize(("name", "engine"), QUICK)
def test_the_netlist_of_a_unit_is_the_unit(name: str, engine: str) -> None:
    compared(name, load_engine(engine), FAULTS[name], seed=1)


@pytest.mark.long
@pytest.mark.parametrize(("name", "engine"), LATER)
def test_the_netlist_of_another_unit_is_the_unit(name: str, engine: str, seed: int) -> None:
    compared(name, load_engine(engine), {}, seed)


@pytest.mark.long
@pytest.mark.parametrize("name", IN_REGIONS)
def test_the_netlist_of_a_unit_of_three_regions_is_the_unit(name: str, seed: int) -> None:
    """Each region has some of the slices among which a word chooses, and none in other places."""
    config = load_engine("small").with_values({"tile.ports": 8})
    assert len(tiles_of(config)) == 3
    compared(name, config, {}, seed)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "engine", "faults"),
    [
        (
            "slice",
            "tiny",
            {
                "mode": ("DSP48E2", "OPMODE", lambda mode: f"{mode} ^ 9'h080"),
                "stages": ("DSP48E2", "AREG", lambda stages: "1"),
                "table": ("LUT[4-6]", "INIT", complemented),
            },
        ),
        ("vector_coder", "small", {"bit": ("LUT6", "INIT", flipped(0)), "carry": ("CARRY4", "CYINIT", lambda pin: f"~{pin}")}),
        ("stream_port", "u280", {"place": ("URAM288", "ADDR_A", lambda pins: f"{pins} ^ 23'h1")}),
        ("result_memory", "small", {"lane": ("URAM288", "BWE_B", lambda pins: f"{pins} & 9'h1fe")}),
        ("activation_memory", "small", {"width": ("RAMB18E2", "READ_WIDTH_A", lambda width: "9")}),
        ("region", "small", {"table": ("LUT[2-6]", "INIT", complemented), "bit": ("FDRE", "INIT", flipped(0))}),
        ("mover", "small", {"table": ("LUT[2-6]", "INIT", complemented)}),
    ],
)
def test_what_is_wrong_in_another_netlist_is_seen(name: str, engine: str, faults: dict[str, Fault]) -> None:
    compared(name, load_engine(engine), faults, seed=1)


def test_the_first_difference_is_named() -> None:
    unit = GateUnit("drain", load_engine("small"))
    wrong = planted(unit.netlist, "FDSE", "INIT", flipped(0), inside="free_now")
    first = unit.compare({"wrong": wrong}, 8, seed=1)["wrong"].first
    assert first is not None
    assert re.fullmatch(r"free_now must be 0x1 in cycle -1, not 0x0", first)


def test_stimuli_fill_their_ports_and_reset_them() -> None:
    ports = (Port(name="rst", width=1, is_input=True), Port(name="word", width=48, is_input=True))
    stimuli = random_stimuli(ports, 4000, seed=5, fields={"word": (1, 40, 7)})
    assert stimuli == random_stimuli(ports, 4000, seed=5, fields={"word": (1, 40, 7)})
    assert [stimulus & 1 for stimulus in stimuli[:2]] == [1, 1]
    seen = np.array([[stimulus >> bit & 1 for bit in range(49)] for stimulus in stimuli]).mean(axis=0)
    assert (seen[1:] > 0.2).all() and (seen[1:] < 0.8).all() and seen[0] < 0.02


@pytest.mark.long
def test_the_netlist_of_the_decoder_is_proved_equal() -> None:
    """For every input, as it has no registers; one bit of one table breaks the proof, and a unit with registers has none."""
    unit = GateUnit("decoder", load_engine("u280"))
    assert is_proved_equal(unit.modules, unit.name, unit.netlist)
    wrong = planted(unit.netlist, "LUT6", "INIT", complemented)
    assert not is_proved_equal(unit.modules, unit.name, wrong)
    sequencer = GateUnit("matrix_sequencer", load_engine("small"))
    with pytest.raises(MachineError, match="must have no registers, and matrix_sequencer has some"):
        is_proved_equal(sequencer.modules, sequencer.name, sequencer.netlist)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["tiny", "small"])
def test_netlists_are_the_units_of_real_programs(engine: str, seed: int) -> None:
    """Whole decode steps of models of three formats; each output of each part is compared in each cycle."""
    config = load_engine(engine)
    verilated = GatedVerilog(config)
    tokens = np.random.default_rng(seed).integers(0, 96, 23).tolist()
    for format in (Format.W4, Format.W2S, Format.W8):
        memories = [IDEAL, stalling(seed & 0xFFFF)]
        result = cosim(
            random_model(seed, format=format), config, texts=[tokens[:6], tokens], memories=memories, verilated=verilated
        )
        assert (result.mismatches, result.cycle_difference, result.first) == (0, 0, None)


@pytest.mark.long
@pytest.mark.parametrize("top", [r"\engine.matrix.front", r"\engine.matrix.shared", r"\engine.load", "slice"])
def test_a_wrong_netlist_stops_a_real_program(top: str, seed: int) -> None:
    config = load_engine("tiny")
    netlist = netlists_of(generate(config), Path("build/synthesis"), [top])[top]
    wrong = planted(netlist, "FDRE", "D", lambda pin: f"~({pin})")
    verilated = GatedVerilog(config, netlists={top: wrong})
    name = re.escape(top.lstrip("\\"))
    with pytest.raises(MachineError, match=rf"The netlist of {name} must have \w+ [0-9a-f]+, not [0-9a-f]+"):
        cosim(random_model(seed), config, texts=[[5, 6, 7]], memories=[IDEAL], verilated=verilated)


def test_every_part_of_an_engine_stands_beside_its_netlist() -> None:
    modules = circuit_modules(generate(load_engine("tiny")))
    parts = parts_of(modules)
    matrix = {"front", "shared", "broadcast_shared", "gather", "lane_tree", "epilogue"}
    memories = {"load", "residual", "result_mover", "result_vector_a", "activation_write", "activation_shared", "scales"}
    named = {rf"\engine.{name}" for name in ("mover", "control", *memories, *(f"matrix.{name}" for name in matrix))}
    assert named | {"slice", "stream_port", "lamforge_vector_lane", "lamforge_vector_coder"} <= {*parts}
    divided = {rf"\engine.{name}" for name in ("fetch", "matrix", "vector")}
    assert not divided & {*parts}
    everywhere = set().union(*(hierarchy(modules, part) for part in parts))
    missing = modules.keys() - everywhere - divided - {r"\engine", "engine"}
    assert all(".copy_" in name or clock_of(modules[name]) is None for name in missing)


def test_slices_in_the_netlist_of_a_region_have_no_netlists_beside_them() -> None:
    sources, region = generate(load_engine("tiny")), r"\engine.matrix.shared"
    netlist = f"module {region} (clk);\n  slice \\tile_0.slice_0  (\n    .clk(clk)\n  );\nendmodule\n"
    files = gated(sources, {Slice.module: circuit_modules(sources)[Slice.module].text, region: netlist})
    assert "module \\engine.matrix.shared.gates  (clk);\n  \\slice.rtl \\tile_0.slice_0  (\n" in files["engine_matrix.v"]
    assert re.findall(r"^module (\S*slice\S*)", files["slice.v"], re.M)[:1] == [r"\slice.rtl"]
    assert re.search(r"^  slice slice_0 ", files["tile.v"], re.M)
