"""MATRIX writes the bits of docs/engine.md in the cycles of docs/engine.md."""

import numpy as np
import pytest

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Format
from tests.rtl.matrix_bench import golden, random_work, simulate

FORMATS = [*Format, None]

ENGINES = {
    "tiny": {},
    "four_slices": {"tile.ports": 2, "tile.port_bits": 256},
    "three_rows": {"tile.tokens": 3},
    "two_words": {"tile.ports": 2, "tile.port_bits": 512},
}


def engine(name: str) -> EngineConfig:
    """Return a variant of the smallest engine."""
    return load_engine("tiny").with_values(ENGINES[name])


def differences(expected, seen) -> list[str]:
    """Return the first difference of each kind of event."""
    found = []
    for name in ("issues", "pops", "retires", "drained"):
        if getattr(expected, name) != getattr(seen, name):
            found.append(f"{name}: {getattr(expected, name)} expected, {getattr(seen, name)} seen")
    key = lambda write: (write.cycle, write.memory)  # noqa: E731
    for one, other in zip(sorted(expected.writes, key=key), sorted(seen.writes, key=key), strict=False):
        if one != other:
            found.append(f"write: {one} expected, {other} seen")
            break
    if len(expected.writes) != len(seen.writes):
        found.append(f"{len(expected.writes)} writes expected, {len(seen.writes)} seen")
    return found


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_random(name, gaps):
    rng = np.random.default_rng([len(name), int(10 * gaps)])
    formats = [FORMATS[index] for index in rng.permutation(np.arange(12) % len(FORMATS))]
    work = random_work(rng, engine(name), formats, gaps=gaps)
    expected = golden(work)
    seen = simulate(work, expected.retires[-1] + 3)
    assert differences(expected, seen) == []
