"""Laws of all systems: more of a good thing is never slower, less of it never faster, and what an answer names it depends on."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.systems import System, names, system
from hwsim.sourced import Sourced
from hwsim.units import Bytes, BytesPerSecond, Hertz, OperationsPerSecond, Seconds
from models.zoo import names as networks
from models.zoo import network

SYSTEMS = {name: system(name) for name in names()}
NETWORKS = [network(name) for name in networks()]
MORE_IS_BETTER = (Bytes, BytesPerSecond, Hertz, OperationsPerSecond)
CHANGES = 2000
SEED = 20261201


def changed(fact: Sourced[Any], factor: float) -> Sourced[Any]:
    """Return a number of a device made better by a factor; below 1 worse."""
    value = fact.value
    better = value / factor if isinstance(value, Seconds) else value * factor
    return dataclasses.replace(fact, value=better)


def better_ones(found: System) -> Iterator[tuple[str, str]]:
    """Yield the numbers of devices of which more (of a time: less) is better, as field of the system and of the device."""
    for field, device in found.devices.items():
        facts = {name: fact.value for name, fact in device.facts.items()}
        yield from ((field, name) for name, value in facts.items() if isinstance(value, (*MORE_IS_BETTER, Seconds)))


def with_change(found: System, field: str, name: str, factor: float) -> System:
    device = found.devices[field]
    return dataclasses.replace(found, **{field: dataclasses.replace(device, **{name: changed(getattr(device, name), factor)})})


def counted(found: System) -> list[str]:
    hints = {field.name: field.type for field in dataclasses.fields(found)}
    return [name for name in ("gpus", "drives", "csds", "cards") if name in hints]


def random_work(random: np.random.Generator, found: System) -> Workload:
    batch = min(int(2 ** random.uniform(0, 8)), found.most_sequences)
    return Workload(
        network=NETWORKS[random.integers(len(NETWORKS))],
        prompt=int(2 ** random.uniform(4, 20)),
        generated=int(2 ** random.uniform(0, 11)),
        batch=batch,
        weight_bits=float(random.choice([16.0, 4.5, 2.0])),
        cache_bits=float(random.choice([16.0, 4.25])),
        window=float(random.choice([np.inf, 2048.0])),
    )


def speed(found: System, work: Workload) -> tuple[float, bool]:
    answer = found.answer(work)
    return float(answer.tokens_per_second), bool(answer.fits)


def test_more_is_never_slower_and_less_never_faster() -> None:
    random, tried, refused = np.random.default_rng(SEED), 0, 0
    while tried < CHANGES:
        found = SYSTEMS[names()[random.integers(len(SYSTEMS))]]
        work = random_work(random, found)
        factor = float(2 ** random.uniform(-2, 2))
        counts = counted(found)
        try:
            before = speed(found, work)
            if counts and random.random() < 0.4:
                field, more = str(random.choice(counts)), int(random.integers(1, 9))
                what = f"{field} + {more}"
                after, factor = speed(dataclasses.replace(found, **{field: getattr(found, field) + more}), work), 2.0
            else:
                options = list(better_ones(found))
                field, name = options[random.integers(len(options))]
                what = f"{field}.{name} x {factor:.3f}"
                after = speed(with_change(found, field, name, factor), work)
        except SpecError:
            refused += 1
            assert refused < 2 * CHANGES
            continue
        tried += 1
        worse, better = (before, after) if factor >= 1 else (after, before)
        asked = f"{found.name}, {work.network.name}, {work.prompt} + {work.generated}, batch {work.batch}"
        told = f"seed {SEED}, change {tried}: {asked}: {what}"
        assert better[1] >= worse[1], told
        if better[1] == worse[1]:
            assert better[0] >= worse[0] * (1 - 1e-9), told
