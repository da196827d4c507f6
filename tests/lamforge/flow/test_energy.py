"""The energy of simulated runs."""

import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Format
from hwsim.machine.energy import Activity, activity_of, load_constants
from hwsim.memory.models import memory_model
from lamforge.flow.energy import run_energy
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
    energy = run_energy(decode.trace, decode.timeline, decode.engine, tokens=decode.program.rows)
    assert energy.board == "u280"
    assert energy.card_j == pytest.approx(sum(energy.joules.values()))
    assert energy.card_w == pytest.approx(sum(energy.watts.values()))
    assert energy.token_per_joule == pytest.approx(decode.token_per_s / energy.card_w)
