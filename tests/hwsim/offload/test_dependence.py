"""An answer changes with every number that it claims to depend on, by as much as it says."""

import dataclasses

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.dependence import dependences
from hwsim.offload.systems import names, system
from models.zoo import names as networks
from models.zoo import network

SEED = 20261202
LONG = Workload(network=network("llama-2-7b"), prompt=65536, generated=256, batch=1)


def figures(answer: Answer) -> list[float]:
    price = answer.price
    sizes = [float(size.value) for tier in answer.tiers for size in (tier.used, tier.capacity)]
    times = [float(answer.prefill.time.value), float(answer.step.time.value), float(answer.joules_per_token)]
    return [*times, 0.0 if price is None else float(price.value), *sizes]


@pytest.mark.parametrize("name", names())
def test_an_answer_changes_with_every_number_that_it_names(name: str) -> None:
    found, random = system(name), np.random.default_rng(SEED)
    for _ in range(3):
        sizes = network(networks()[random.integers(len(networks()))])
        batch = min(int(2 ** random.uniform(0, 6)), found.most_sequences)
        work = Workload(
            network=sizes, prompt=int(2 ** random.uniform(5, 18)), generated=int(2 ** random.uniform(1, 9)), batch=batch
        )
        try:
            before = figures(found.answer(work))
        except SpecError:
            continue
        claimed = dependences(found, work)
        assert claimed
        # Through the command's own way of changing a number, by more than the claim was found with.
        for path, each in claimed.items():
            text = halved(each.fact.value)
            try:
                changed = None if text is None else figures(system(name, {path: text}).answer(work))
            except SpecError as refusal:
                assert "must be" in str(refusal)
                continue
            assert changed != before, f"seed {SEED}: {name}, {sizes.name}, {work.prompt} + {work.generated}, {batch}: {path}"


def halved(value: object) -> object:
    """Return half of a number as a setting has it; None for what is no plain number."""
    if isinstance(value, bool | int | tuple):
        return None
    if isinstance(value, float):
        return value / 2
    unit = getattr(value, "unit", None)
    return None if unit is None else f"{float(value.value) / 2!r} {unit}"


def test_elasticities_are_the_speeds_own() -> None:
    """A long context on a GPU is bytes over the rate of its memory; the numbers of other devices are not named."""
    found = dependences(system("gpu-a100"), LONG)
    assert found["gpu.memory_rate"].elasticity > 0 > found["gpu.launch"].elasticity
    assert found["gpu.power"].elasticity == found["gpu.price"].elasticity == 0
    assert not {"host.memory", "host.memory_rate", "gpu.host_link"} & set(found)
    slow = system("gpu-a100", {"gpu.memory_rate": "1937.05 GB/s"}).answer(LONG).tokens_per_second
    fast = system("gpu-a100").answer(LONG).tokens_per_second
    expected = found["gpu.memory_rate"].elasticity
    assert (slow / fast - 1) / (1937.05 / 2039 - 1) == pytest.approx(expected, rel=0.05)


def test_what_something_longer_hides_is_not_named() -> None:
    """ZeRO's drives hide the link to the GPU, whose rate then changes nothing."""
    work = dataclasses.replace(LONG, prompt=512)
    assert not any("link" in name for name in dependences(system("zero-h100"), work))
    assert any("read_rate" in name for name in dependences(system("zero-h100"), work))
