"""The energy of simulated runs."""

import pytest

import lamforge
from hwsim.machine.energy import Activity, activity_of, load_constants, operations_of
from lamforge.flow.simulate import Timing


def timed(memory: str = "ideal") -> Timing:
    return lamforge.simulate(workload="smollm2-135m", context=256, head="w8", memory=memory)


@pytest.fixture(scope="module")
def decode() -> Timing:
    return timed()


def counted(timing: Timing) -> Activity:
    return activity_of(operations_of(timing.trace, timing.engine), timing.timeline, timing.engine, load_constants())


def test_a_run_is_counted(decode: Timing) -> None:
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


def test_stalls_cost_time_but_move_nothing(decode: Timing) -> None:
    stalled = timed("stalling:1")
    ours, theirs = counted(decode), counted(stalled)
    assert theirs.seconds > ours.seconds
    assert theirs.register_cycles > ours.register_cycles
    for name in ("memory_bits", "ram_accesses", "multiplier_operations", "logic_cycles"):
        assert getattr(theirs, name) == getattr(ours, name), name


def test_a_simulation_says_its_energy(decode: Timing) -> None:
    energy = decode.energy
    assert energy.board == "u280"
    assert energy.card_j == pytest.approx(sum(energy.joules.values()))
    assert energy.card_w == pytest.approx(sum(energy.watts.values()))
    assert energy.token_per_joule == pytest.approx(decode.token_per_s / energy.card_w)
