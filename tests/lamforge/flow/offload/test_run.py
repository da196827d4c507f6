"""The verbs of offloading as a library: what they take as Python values, and what a result says of itself."""

import pytest

import lamforge
from hwsim.errors import SpecError
from hwsim.offload.systems import names
from lamforge.flow.offload.run import Estimate
from lamforge.flow.offload.work_format import LISTED


@pytest.fixture(scope="module")
def found() -> Estimate:
    return lamforge.offload.run("instinfer-sparf", model="opt-13b", prompt=1024, generate=1024, batch=64)


def test_figures_are_those_of_the_answer(found: Estimate) -> None:
    answer = found.answer
    assert found.fits
    assert found.token_per_s == pytest.approx(64 * 1024 / answer.whole.time.value)
    assert found.decode_token_per_s == pytest.approx(64 / found.step_s)
    assert found.first_token_s == answer.prefill.time.value
    assert found.joules_per_token * 64 * 1024 == pytest.approx(sum(energy.value for energy in answer.energy.values()))
    assert found.binding == max(answer.step.charged, key=lambda cause: answer.step.charged[cause].value)
    assert found.usd_per_million_tokens == pytest.approx(found.price_usd / (found.token_per_s * 3 * 365 * 86400) * 1e6)


def test_what_is_assumed_is_a_part_of_the_numbers_behind_it(found: Estimate) -> None:
    facts = [fact for part in found.answer.parts for fact in part.device.facts.values()]
    facts += found.contender.system.constants.values()
    assert found.numbers == len(facts)
    assert found.assumed_share == pytest.approx(sum(fact.is_assumed for fact in facts) / len(facts))


def test_settings_are_python_values(found: Estimate) -> None:
    two = lamforge.offload.run("instinfer-sparf", model="opt-13b", prompt=1024, generate=1024, batch=64, settings={"csds": 2})
    assert two.token_per_s > found.token_per_s
    with pytest.raises(SpecError, match="setting must be .*, not 'drivez'"):
        lamforge.offload.run("zero-a100", settings={"drivez": 2})


def test_a_comparison_is_of_the_systems_named() -> None:
    compared = lamforge.offload.compare(["gpu-a100", "fpga-u280:w2a8kv4:2048"], model="llama-2-7b")
    assert [line.contender.name for line in compared.lines] == ["gpu-a100", "fpga-u280:w2a8kv4:2048"]
    assert compared.at is None
    close = lamforge.offload.compare(["gpu-a100"], prompt=8192, batch=2, settings={"gpus": 2})
    assert close.at is not None
    assert (close.at.contexts, close.batches, close.lines[0].contender.system.gpus) == ((8192.0,), (2,), 2)


def test_a_listing_names_what_there_is() -> None:
    listing = lamforge.offload.list()
    assert list(listing.systems) == names()
    assert listing.formats is LISTED
    assert "llama-2-7b" in listing.networks


def test_verbs_say_what_they_take() -> None:
    for verb in (lamforge.offload.run, lamforge.offload.compare, lamforge.offload.search):
        assert "Arguments:" in verb.__doc__ and "Raises:" in verb.__doc__
