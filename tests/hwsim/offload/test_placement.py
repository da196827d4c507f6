"""The best placement: nothing that is drawn or tried beats it, it has room, and it is as fast as its linear program says."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.offload.placement import Placed, best_placement, search
from hwsim.offload.systems import system
from hwsim.offload.systems.flexgen import FlexGen, Split
from hwsim.sourced import Sourced
from hwsim.units import Bytes
from models.zoo import network

FIXED = system("flexgen-t4")
assert isinstance(FIXED, FlexGen)
FLEXGEN: FlexGen = FIXED
TINY = Network(
    name="tiny", layers=4, hidden=1024, heads=8, kv_heads=8, head_dim=128, ffn=4096, vocab=1000, is_gated=False, is_tied=True
)
Shares = tuple[float, float, float, float, float]
CASES = {
    "30B": (network("opt-30b"), 512, 32, 48, 3, True),
    "30B, without the host": (network("opt-30b"), 1024, 64, 16, 2, False),
    "175B": (network("opt-175b"), 256, 32, 32, 8, True),
}


def sized(memory: float, room: float, capacity: float, **changes: Any) -> FlexGen:
    """Return FlexGen's machine with so many bytes on GPU, host and drive, and other fields changed."""

    def of(amount: float) -> Sourced[Bytes]:
        return Sourced(value=Bytes(amount), kind="assumed", source="a test")

    return dataclasses.replace(
        FLEXGEN,
        gpu=dataclasses.replace(FLEXGEN.gpu, memory=of(memory)),
        host=dataclasses.replace(FLEXGEN.host, memory=of(room)),
        drive=dataclasses.replace(FLEXGEN.drive, capacity=of(capacity)),
        **changes,
    )


def case(name: str) -> tuple[FlexGen, Workload]:
    """Return a system and a workload."""
    sizes, prompt, generated, batch, batches, is_attending = CASES[name]
    chosen = dataclasses.replace(FLEXGEN, batches=batches, has_host_attention=is_attending)
    return chosen, Workload(network=sizes, prompt=prompt, generated=generated, batch=float(batch * batches))


def shares_of(*values: float) -> Shares:
    """Return five plain numbers."""
    first, second, third, fourth, fifth = map(float, values)
    return first, second, third, fourth, fifth


def placed(chosen: FlexGen, shares: Shares) -> FlexGen:
    """Return the system with weights and cache on GPU and host, and activations on the GPU, in parts of one."""
    weights, cache = Split(gpu=100 * shares[0], host=100 * shares[1]), Split(gpu=100 * shares[2], host=100 * shares[3])
    activations = Split(gpu=100 * shares[4], host=100 - 100 * shares[4])
    return dataclasses.replace(chosen, weights=weights, cache=cache, activations=activations)


def solved(chosen: FlexGen, work: Workload) -> Placed:
    """Return the best placement of what has one."""
    found = best_placement(chosen, work)
    assert found is not None
    return found


def fitting(chosen: FlexGen, work: Workload, shares: Iterator[Shares]) -> list[float]:
    """Return token/s of those placements that have room."""
    answers = (placed(chosen, each).answer(work) for each in shares)
    return [float(answer.tokens_per_second) for answer in answers if answer.fits]


@pytest.mark.parametrize("name", CASES)
def test_no_random_placement_is_faster(name: str, rng: np.random.Generator) -> None:
    chosen, work = case(name)
    best = solved(chosen, work)
    assert best.answer.fits

    def drawn() -> Iterator[Shares]:
        for _ in range(400):
            weights, cache = rng.dirichlet([0.1, 1.0, 1.0]), rng.dirichlet([0.1, 1.0, 1.0])
            hidden = rng.choice([0.0, rng.random(), 1.0])
            yield shares_of(weights[0], weights[1], cache[0], cache[1], hidden)

    speeds = fitting(chosen, work, drawn())
    assert len(speeds) >= 20
    assert max(speeds) <= best.tokens_per_second * (1 + 1e-3)


@pytest.mark.parametrize("name", CASES)
def test_no_step_aside_is_faster(name: str, rng: np.random.Generator) -> None:
    """Linear programs have no local optima: what nothing near beats, nothing beats."""
    chosen, work = case(name)
    best = solved(chosen, work)
    here = np.array([*best.system.weights.shares[:2], *best.system.cache.shares[:2], best.system.activations.shares[0]])

    def near() -> Iterator[Shares]:
        for size in (0.001, 0.01, 0.1):
            for _ in range(100):
                there = np.clip(here + rng.normal(0, size, 5) * (rng.random(5) < 0.5), 0, 1)
                for first in (0, 2):
                    there[first : first + 2] /= max(1.0, there[first : first + 2].sum())
                yield shares_of(*there)

    speeds = fitting(chosen, work, near())
    assert len(speeds) >= 20
    assert max(speeds) <= best.tokens_per_second * (1 + 1e-3)


@pytest.mark.parametrize("is_attending", [False, True])
def test_a_small_case_is_the_best_of_a_grid(is_attending: bool) -> None:
    chosen = sized(150e6, 60e6, 250e6, batches=2, has_host_attention=is_attending)
    work = Workload(network=TINY, prompt=256, generated=32, batch=16.0)
    parts = [(gpu / 6, host / 6) for gpu in range(7) for host in range(7 - gpu)]
    grid = itertools.product(parts, parts, (0.0, 1.0))
    speeds = fitting(chosen, work, ((*one, *two, hidden) for one, two, hidden in grid))
    best = solved(chosen, work)
    assert len(speeds) > 40
    assert best.answer.fits
    assert max(speeds) <= best.tokens_per_second * (1 + 1e-3)
    # The grid is coarse, and comes near.
    assert max(speeds) > 0.6 * best.tokens_per_second


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_as_fast_as_the_linear_program_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, work = case(name)
    results: list[tuple[Any, Any]] = []

    def recording(costs: Any, **others: Any) -> Any:
        results.append((costs, linprog(costs, **others)))
        return results[-1][1]

    monkeypatch.setattr("scipy.optimize.linprog", recording)
    best = solved(chosen, work)
    ((costs, found),) = results
    steps, layers = work.generated - 1, work.network.layers
    # Its objective leaves out what every placement has, and counts in a unit: both from placements with everything in one place.
    none, weights = (placed(chosen, shares) for shares in ((0.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0)))
    base = float(none.step_parts(work)[0].time.value)
    unit = (float(weights.step_parts(work)[0].time.value) - base) * steps / costs[0]
    whole = layers * (found.fun * unit + steps * base)
    assert float(best.answer.whole.time.value) == pytest.approx(whole, rel=1e-3)
    assert best.tokens_per_second == float(best.answer.tokens_per_second)


@settings(max_examples=60)
@given(
    st.sampled_from(["opt-6.7b", "opt-30b", "opt-66b", "opt-175b"]),
    st.tuples(st.integers(1, 64), st.integers(1, 12), st.booleans()),
    st.tuples(st.sampled_from([64, 256, 1024, 4096]), st.sampled_from([8, 32, 256])),
    st.tuples(st.floats(20e9, 1e12), st.floats(100e9, 2e12)),
    st.sampled_from([4.5, 16.0]),
)
def test_every_placement_has_room_and_whole_shares(
    name: str, batches: tuple[int, int, bool], tokens: tuple[int, int], rooms: tuple[float, float], bits: float
) -> None:
    batch, count, is_attending = batches
    chosen = sized(16e9, *rooms, batches=count, has_host_attention=is_attending)
    work = Workload(
        network=network(name), prompt=tokens[0], generated=tokens[1], batch=float(batch * count), weight_bits=bits, cache_bits=bits
    )
    best = best_placement(chosen, work)
    if best is not None:
        assert best.answer.fits
        for split in (best.system.weights, best.system.cache, best.system.activations):
            for percent in (split.gpu, split.host):
                assert percent * 100 == pytest.approx(round(percent * 100), abs=1e-6)


@pytest.mark.parametrize(("host", "tokens", "batch"), [(57e9, (64, 4), 154), (58e9, (512, 8), 24), (86e9, (256, 128), 66)])
def test_rounding_leaves_room_in_a_full_host(host: float, tokens: tuple[int, int], batch: int) -> None:
    """Weights are on GPU and host, so what rounding takes from one the other gets; the cache fills the rest."""
    chosen = sized(80e9, host, 1e14, batches=2, has_host_attention=tokens[1] < 128)
    work = Workload(network=network("opt-66b"), prompt=tokens[0], generated=tokens[1], batch=float(batch))
    best = solved(chosen, work)
    assert 0 < best.system.weights.gpu < 100
    assert best.system.weights.drive == 0
    assert 0 < best.system.cache.drive < 100
    room = best.answer.tiers[2]
    assert 0.999 < float(room.used.value / room.capacity.value) <= 1
    assert best.answer.fits


def test_what_fits_on_the_gpu_stays_there() -> None:
    best = solved(sized(100e9, 500e9, 1e12, batches=1), Workload(network=network("opt-6.7b"), prompt=64, generated=64, batch=1.0))
    assert (best.system.weights.gpu, best.system.cache.gpu, best.system.activations.gpu) == (100, 100, 100)


def test_a_search_takes_the_best_of_all_batches_with_the_host_or_without() -> None:
    work = Workload(network=network("opt-30b"), prompt=512, generated=32, batch=1.0)
    sizes, counts = (16, 48), (1, 3)
    best = search(FLEXGEN, work, sizes, counts)
    others = []
    for size, count, is_attending in itertools.product(sizes, counts, (False, True)):
        each = dataclasses.replace(FLEXGEN, batches=count, has_host_attention=is_attending)
        found = best_placement(each, dataclasses.replace(work, batch=float(size * count)))
        others.append(0.0 if found is None else found.tokens_per_second)
    assert best.tokens_per_second == max(others)
    assert len(set(others)) > 4
    assert best.work.batch == 144


def test_a_search_without_a_rate_of_the_host_lets_the_gpu_attend() -> None:
    alone = dataclasses.replace(FLEXGEN, has_host_attention=False, host=dataclasses.replace(FLEXGEN.host, attention_rate=None))
    best = search(alone, Workload(network=network("opt-6.7b"), prompt=512, generated=32, batch=1.0), (4,), (1,))
    assert not best.system.has_host_attention


def test_what_has_no_room_anywhere_is_refused() -> None:
    work = Workload(network=network("opt-175b"), prompt=32768, generated=32, batch=512.0)
    assert best_placement(FLEXGEN, work) is None
    sentence = "^System flexgen-t4 must hold opt-175b in some placement, but it does not fit in any$"
    with pytest.raises(SpecError, match=sentence):
        search(FLEXGEN, work, (64,), (8, 16))


def test_without_overlap_there_is_nothing_to_search() -> None:
    chosen = dataclasses.replace(FLEXGEN, has_overlap=False)
    sentence = "^System flexgen-t4 must overlap copies and computation for a search$"
    with pytest.raises(SpecError, match=sentence):
        best_placement(chosen, case("30B")[1])


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for name in CASES:
        solved(*case(name))
    best_placement(FLEXGEN, Workload(network=network("opt-175b"), prompt=32768, generated=32, batch=512.0))
    assert capfd.readouterr() == ("", "")
