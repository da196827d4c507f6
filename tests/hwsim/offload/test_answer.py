"""Answers: steps make up decoding, rates are tokens over times, energy lies between waiting and working, room is what is left."""

import dataclasses

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.answer import IDLE_SHARE, LIFE, Answer, Part, Tier
from hwsim.offload.devices import GPUS, HOSTS
from hwsim.offload.span import Span, move, overlapped, serial, spend
from hwsim.offload.systems import names, system
from hwsim.sourced import Sourced
from hwsim.units import Bytes, Dollars, Seconds, Watts
from models.zoo import network

WORK = Workload(network=network("llama-2-7b"), prompt=1000, generated=11, batch=4)
STEP = serial(
    spend("arithmetic", Seconds(0.03)), overlapped(move("link", Bytes(5e9), Seconds(0.01)), spend("memory", Seconds(0.004)))
)
GPU = Part(
    device=GPUS.load("a6000"),
    count=2,
    power=Sourced(value=Watts(300.0), kind="datasheet", source="a test"),
    causes=("arithmetic", "memory"),
)
HOST = Part(
    device=HOSTS.load("hilos-server"), count=1, power=Sourced(value=Watts(100.0), kind="assumed", source="a test"), causes=("link",)
)
ROOMY = Tier(name="GPU memory", used=Bytes(3e9), capacity=Bytes(5e9))
FULL = Tier(name="host memory", used=Bytes(9e9), capacity=Bytes(5e9))


def answer(
    prefill: Span | None = None, tiers: tuple[Tier, ...] = (ROOMY,), parts: tuple[Part, ...] = (GPU, HOST), work: Workload = WORK
) -> Answer:
    """Return an answer with a prefill of a second, if no other is given."""
    begin = spend("arithmetic", Seconds(1.0)) if prefill is None else prefill
    return Answer(system="mine", work=work, prefill=begin, step=STEP, tiers=tiers, parts=parts, assumed=("rate",))


def test_the_first_token_comes_from_the_prompt_and_the_others_from_steps() -> None:
    found = answer()
    assert found.decode.time.value == pytest.approx(10 * 0.04)
    assert found.decode.moved["link"].value == pytest.approx(10 * 5e9)
    assert found.whole.time.value == pytest.approx(1.4)
    alone = answer(work=dataclasses.replace(WORK, generated=1))
    assert alone.decode.time.value == 0
    assert alone.whole.time.value == alone.prefill.time.value


def test_rates_are_tokens_over_times() -> None:
    found = answer()
    assert found.tokens_per_second * found.whole.time.value == pytest.approx(4 * 11)
    assert found.decode_tokens_per_second * found.step.time.value == pytest.approx(4)


def test_room_is_never_less_than_none() -> None:
    assert (ROOMY.over.value, FULL.over.value) == (0, 4e9)
    grid = Tier(name="drive", used=Bytes(np.array([1.0, 6.0])), capacity=Bytes(5.0))
    assert np.asarray(grid.over.value).tolist() == [0, 1]
    exact = Tier(name="drive", used=Bytes(5e9), capacity=Bytes(5e9))
    assert answer(tiers=(exact,)).fits
    assert answer(tiers=(ROOMY, exact)).fits
    assert not answer(tiers=(ROOMY, FULL)).fits
    assert np.asarray(answer(tiers=(ROOMY, grid)).fits).tolist() == [True, False]


def test_energy_is_that_of_work_and_of_waiting() -> None:
    energy = answer().energy
    worked = 1.0 + 10 * (0.03 + 0.004)
    assert energy["a6000"].value == pytest.approx(2 * 300 * (worked + (1.4 - worked) * IDLE_SHARE.value))
    assert energy["hilos-server"].value == pytest.approx(100 * (0.1 + 1.3 * IDLE_SHARE.value))
    assert answer().joules_per_token == pytest.approx((energy["a6000"].value + energy["hilos-server"].value) / 44)


def test_a_part_does_not_work_longer_than_there_is_time() -> None:
    both = overlapped(spend("arithmetic", Seconds(1.0)), spend("memory", Seconds(1.0)))
    found = answer(prefill=both, work=dataclasses.replace(WORK, generated=1))
    assert found.energy["a6000"].value == pytest.approx(2 * 300 * 1.0)


@pytest.mark.parametrize("name", names())
def test_energy_lies_between_that_of_waiting_and_of_working_all_the_time(name: str) -> None:
    found = system(name).answer(WORK)
    for part in found.parts:
        most = part.power.value.value * part.count * found.whole.time.value
        assert most * IDLE_SHARE.value * (1 - 1e-12) <= found.energy[part.device.name].value <= most * (1 + 1e-12)


@pytest.mark.parametrize("name", names())
def test_all_work_of_a_shipped_system_is_that_of_one_of_its_parts(name: str) -> None:
    found = system(name).answer(WORK)
    causes = {cause for part in found.parts for cause in part.causes}
    assert set(found.whole.busy) <= causes


def test_a_price_is_that_of_all_devices_or_none() -> None:
    found = answer()
    gpu, host = GPU.device.price, HOST.device.price
    assert gpu is not None
    assert host is not None
    assert found.price is not None
    assert found.price == Dollars(2 * float(gpu.value.value) + float(host.value.value))
    tokens = float(found.tokens_per_second) * float(LIFE.value.value)
    cost = found.dollars_per_million_tokens
    assert cost is not None
    assert cost == pytest.approx(float(found.price.value) / tokens * 1e6)
    priceless = dataclasses.replace(GPU, device=dataclasses.replace(GPU.device, price=None))
    without = answer(parts=(priceless, HOST))
    assert without.price is None
    assert without.dollars_per_million_tokens is None


def test_assumptions_name_device_or_system_and_field() -> None:
    found = answer()
    assert {"a6000.price", "hilos-server.memory", "mine.rate"} <= set(found.assumptions)
    assert "a6000.memory" not in found.assumptions


def test_what_binds_is_of_the_step() -> None:
    assert answer(prefill=spend("prompt", Seconds(100.0))).binding == "arithmetic"
