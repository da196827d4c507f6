"""An FPGA card: passes over weights and cache in closed form, near what the cycle-exact simulator finds."""

import dataclasses

import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from hwsim.offload.systems.fpga import ENGINE, HBM, Fpga
from hwsim.plain import set_values
from lamforge.flow.simulate import Timing, simulate
from models.zoo import network

LLAMA = network("llama-2-7b")
WORK = Workload(network=LLAMA, prompt=2048, generated=2, batch=1, weight_bits=2.0, cache_bits=4.25, window=2048)
RATE = 460.8e9 * 0.92
LAYER = 4 * 4096**2 + 3 * 4096 * 11008


def card(*settings: str) -> Fpga:
    """Return the shipped system with settings."""
    found = system("fpga-u280", set_values(settings))
    assert isinstance(found, Fpga)
    return found


@pytest.mark.parametrize("batch", [1, 4])
def test_a_step_takes_what_the_simulator_finds(batch: int) -> None:
    found = simulate(workload="llama-2-7b", engine="u280", context=2048, batch=batch, memory="hbm2")
    assert isinstance(found, Timing)
    assert found.position == 2048
    ours = float(card().answer(dataclasses.replace(WORK, batch=batch)).decode_tokens_per_second)
    print(f"{ours:.1f} token/s in closed form, {found.token_per_s:.1f} simulated")
    assert ours == pytest.approx(found.token_per_s, rel=0.05)


def test_a_step_by_hand() -> None:
    step = card().answer(WORK).step
    streamed = 32 * (LAYER * 2 / 8 + 2048 * 2 * 4096 * 4.25 / 8) + 32000 * 4096 * 2 / 8
    assert float(step.busy[HBM].value) == pytest.approx(streamed / RATE)
    waiting = 32 * 6.5e-6
    assert float(step.time.value) == pytest.approx(streamed / RATE + waiting)
    computed = 32 * (2 * LAYER + 4 * 4096 * 2048) / 14.7e12
    assert float(step.busy[ENGINE].value) == pytest.approx(computed + waiting)


def test_four_tokens_share_a_pass_over_the_weights() -> None:
    """The cache is each sequence's own."""
    times = {}
    for batch in (1, 4, 5, 8):
        step = card().answer(dataclasses.replace(WORK, batch=batch)).step
        times[batch] = float(step.busy[HBM].value) * RATE
    cache, weights = 32 * 2048 * 2 * 4096 * 4.25 / 8, (32 * LAYER + 32000 * 4096) * 2 / 8
    assert times[1] == pytest.approx(weights + cache)
    assert times[4] == pytest.approx(weights + 4 * cache)
    assert times[5] == pytest.approx(2 * weights + 5 * cache)
    assert times[8] == pytest.approx(2 * weights + 8 * cache)


def test_a_prompt_passes_once_for_four_of_its_tokens() -> None:
    prefill = card().answer(dataclasses.replace(WORK, prompt=512)).prefill
    weights, cache = 128 * 32 * LAYER * 2 / 8, 128 * 32 * 256 * 2 * 4096 * 4.25 / 8
    head = 32000 * 4096 * 2 / 8
    assert float(prefill.busy[HBM].value) == pytest.approx((weights + cache + head) / RATE)


def test_room_is_that_of_the_card() -> None:
    (whole,) = card().answer(dataclasses.replace(WORK, weight_bits=16.0)).tiers
    (packed,) = card().answer(WORK).tiers
    assert float(whole.over.value) > 0
    assert float(packed.over.value) == 0
    cache = 32 * 2048 * 2 * 4096 * 4.25 / 8
    assert float(packed.used.value) == pytest.approx((32 * LAYER + 2 * 32000 * 4096) * 2 / 8 + cache)
    assert float(packed.capacity.value) == 8 * 2**30
