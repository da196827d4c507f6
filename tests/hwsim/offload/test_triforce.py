"""TriForce: tokens that a pass yields as a simulation of acceptance finds them, and what levels of proposing gain."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from hwsim.offload.systems.system import FRAMEWORK, LINK
from hwsim.offload.systems.triforce import DRAFT, LEVELS, TriForce, expected_passes, expected_tokens
from hwsim.plain import set_values
from models.zoo import network

WORK = Workload(network=network("llama-2-7b"), prompt=124928, generated=256, batch=1)
CACHE = 32 * 4 * 4096 * (124928 + 128)


def triforce(name: str, *settings: str) -> TriForce:
    """Return a system with settings."""
    found = system(name, set_values(settings))
    assert isinstance(found, TriForce)
    return found


@pytest.mark.parametrize(("acceptance", "proposed"), [(0.0, 5), (0.4036, 2), (0.9137, 6), (0.946, 16), (0.99, 12)])
def test_tokens_of_a_pass_are_those_of_simulated_passes(acceptance: float, proposed: int, rng: np.random.Generator) -> None:
    """A pass keeps what comes before the first refused token, and adds one of its own."""
    passes = 200_000
    accepted = rng.random((passes, proposed)) < acceptance
    tokens = 1 + np.cumprod(accepted, axis=1).sum(axis=1)
    expected = expected_tokens(acceptance, proposed)
    assert abs(tokens.mean() - expected) <= 5 * tokens.std() / np.sqrt(passes) + 1e-12


@given(st.floats(0, 0.999), st.integers(1, 64))
def test_a_pass_yields_between_one_token_and_all_that_were_proposed_and_one(acceptance: float, proposed: int) -> None:
    expected = expected_tokens(acceptance, proposed)
    assert 1 <= expected <= proposed + 1 + 1e-9
    assert expected <= expected_tokens(acceptance, proposed + 1) + 1e-12
    assert expected <= expected_tokens(acceptance + 0.0005, proposed) + 1e-12


@pytest.mark.parametrize(("acceptance", "proposed"), [(0.0, 5), (0.4036, 6), (0.4649, 1), (0.9, 16), (1.0, 7)])
def test_passes_of_the_hierarchy_are_those_of_simulated_ones(acceptance: float, proposed: int, rng: np.random.Generator) -> None:
    """A pass with the part gives a token, and one more where the draft's is taken; passes go on until there are enough."""
    runs = 100_000
    tokens, passes = np.zeros(runs, int), np.zeros(runs, int)
    while (going := tokens < proposed).any():
        passes += going
        tokens += going * (1 + (rng.random(runs) < acceptance))
    expected, further = expected_passes(acceptance, proposed)
    assert abs(passes.mean() - expected) <= 5 * passes.std() / np.sqrt(runs) + 1e-12
    assert abs((tokens > proposed).mean() - further) <= 5 * tokens.std() / np.sqrt(runs) + 1e-12


def test_as_many_layers_are_on_the_gpus_as_the_published_commands_have() -> None:
    """12 of a baseline and 9 beside a part of 12,288 tokens on two GPUs of 24 GB; 2 and none on one."""
    asked = dataclasses.replace(WORK, prompt=130048)

    def here(found: TriForce) -> float:
        away = found.answer(asked).tiers[1].used.value / asked.cache_bytes(asked.tokens).value
        return 32 - float(away)

    assert [here(triforce(name)) for name in ("stream-4090-x2", "triforce-4090-x2", "triforce-4090")] == [12, 9, 0]
    assert here(triforce("stream-4090-x2", "gpus=1")) == 2
    assert here(triforce("stream-4090-x2", "gpu=h200")) == 32


def test_levels_by_hand() -> None:
    """A step by each level is put together from passes that the others consist of."""
    times = {level: float(triforce("triforce-a100", f"level={level}").answer(WORK).step.time.value) for level in LEVELS}
    checking = times["target"]
    gain, inner = (1 - 0.9137**7) / (1 - 0.9137), (1 - 0.4036**3) / (1 - 0.4036)
    assert times["draft"] == pytest.approx((checking + 2 * 0.45e-3) / inner)
    proposing = (times["retrieval"] * gain - checking) / 6
    passes, further = expected_passes(0.4036, 6)
    tokens = (1 - further) * gain + further * (1 - 0.9137**8) / (1 - 0.9137)
    assert times["hierarchy"] == pytest.approx((checking + passes * (proposing + 0.45e-3) + 0.45e-3) / tokens)
    assert times["hierarchy"] < times["retrieval"] < times["target"]
    # A pass with 4096 tokens of cache reads the weights, and little else but for what the framework takes.
    weights = 2 * (32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096)
    assert proposing == pytest.approx(7.8e-3 + (weights + 32 * 4 * 4096 * 4096) / (2039e9 * 0.79), rel=0.15)


def test_the_part_that_proposes_is_at_most_the_whole() -> None:
    short = dataclasses.replace(WORK, prompt=100, generated=2)
    narrow, wide = (triforce("triforce-a100", "level=retrieval", f"budget={size}") for size in (1000, 4096))
    assert float(narrow.answer(short).step.time.value) == float(wide.answer(short).step.time.value)
    assert float(narrow.answer(WORK).step.time.value) < float(wide.answer(WORK).step.time.value)


def test_a_pass_that_checks_streams_the_layers_that_are_away() -> None:
    stream = triforce("stream-4090-x2", "host_layers=0.625").answer(WORK).step
    assert float(stream.moved[LINK].value) == pytest.approx(CACHE * 20 / 32)
    assert float(stream.busy[LINK].value) == pytest.approx(CACHE * 20 / 32 / (2 * 26.37e9), rel=1e-3)
    hierarchy = triforce("triforce-4090-x2", "host_layers=0.75", "level=retrieval").answer(WORK).step
    acceptance = triforce("triforce-4090-x2").acceptance.value
    gain = (1 - acceptance**17) / (1 - acceptance)
    assert float(hierarchy.moved[LINK].value) == pytest.approx(CACHE * 24 / 32 / gain)
    assert LINK not in triforce("triforce-a100").answer(WORK).step.moved


def test_only_proposing_costs_what_the_framework_takes() -> None:
    causes = {level: set(triforce("triforce-a100", f"level={level}").answer(WORK).step.charged) for level in LEVELS}
    assert {level for level in LEVELS if FRAMEWORK in causes[level]} == {"retrieval", "hierarchy"}
    assert {level for level in LEVELS if DRAFT in causes[level]} == {"draft", "hierarchy"}


def test_room_is_that_of_the_cache_where_it_is() -> None:
    cache = 32 * 4 * 4096 * (124928 + 256)
    whole, away = (triforce("triforce-a100", f"host_layers={share}").answer(WORK).tiers for share in (0, 1))
    assert float(whole[1].used.value) == 0
    assert float(away[1].used.value) == cache
    assert float(whole[0].used.value - away[0].used.value) == pytest.approx(cache)
    assert float(triforce("triforce-4090-x2").answer(WORK).tiers[0].capacity.value) == 2 * 24564 * 2**20


def test_it_is_made_for_one_sequence() -> None:
    assert TriForce.most_sequences == 1
