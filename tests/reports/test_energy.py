"""The energy of simulated runs and its validation against published systems."""

import json

import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Format
from hwsim.machine.energy import Activity, activity_of, load_constants
from hwsim.memory.models import memory_model
from lamforge.cli.main import main
from lamforge.flow.energy import validate_energy
from lamforge.flow.simulation import Simulation, compiled_workload, simulate, workload_request


@pytest.fixture(scope="module")
def decode() -> Simulation:
    return simulate(compiled_workload(workload_request("smollm2-135m", load_engine("small"), context=256, head=Format.W8)))


def counted(simulation: Simulation) -> Activity:
    return activity_of(simulation.trace, simulation.timeline, simulation.engine, load_constants())


def test_a_run_is_counted(decode: Simulation) -> None:
    activity, timeline = counted(decode), decode.timeline
    assert activity.memory_bits == 8 * decode.total_bytes
    assert activity.seconds == pytest.approx(1 / decode.token_per_s)
    # Half of the layers' weights are kept, an 8-bit weight of the head takes two 8x4 products, and an operation makes
    # two; attention and vectors come on top.
    head = 49152 * 576
    layers = 134_515_008 - head - 576 * 61
    products = layers / 2 + 2 * head
    assert products / 2 < activity.multiplier_operations < 1.15 * products / 2
    # Each streamed bit goes into and out of a FIFO at the least.
    assert activity.ram_accesses > 2 * 8 * timeline.stream_bytes / 72


def test_stalls_cost_time_but_move_nothing(decode: Simulation) -> None:
    programs = compiled_workload(workload_request("smollm2-135m", load_engine("small"), context=256, head=Format.W8))
    stalled = simulate(programs, memory=memory_model("stalling:1"))
    ours, theirs = counted(decode), counted(stalled)
    assert theirs.seconds > ours.seconds
    assert theirs.register_cycles > ours.register_cycles
    for name in ("memory_bits", "ram_accesses", "multiplier_operations", "logic_cycles"):
        assert getattr(theirs, name) == getattr(ours, name), name


def test_a_simulation_says_its_energy(decode: Simulation) -> None:
    energy = decode.document()["energy"]
    assert energy["card_j"] == pytest.approx(sum(energy["joules"].values()))
    assert energy["card_w"] == pytest.approx(sum(energy["watts"].values()))
    assert energy["token_per_j"] == pytest.approx(decode.token_per_s / energy["card_w"])


def test_validation_has_a_row_for_each_system(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row.system.name: row for row in validate_energy().rows}
    # Within a third of both, with the same constants.
    for row in rows.values():
        assert abs(row.error) < 1 / 3
    with pytest.raises(SystemExit) as ended:
        main(["validate", "energy", "--json"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["system"] for row in document["rows"]] == ["AccLLM", "FlightLLM"]
    for row in document["rows"]:
        assert row["error"] == pytest.approx(row["ours_w"] / row["theirs_w"] - 1)
    with pytest.raises(SystemExit):
        main(["validate", "energy"])
    text = capsys.readouterr().out
    assert "assumed" in text and "regulator_efficiency" in text and "FlightLLM" in text
